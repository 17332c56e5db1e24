// Package maasmachine reconciles MaasMachines: each becomes exactly one LXD VM or one physical machine, and is given back
// when the object goes. The order of things is Reconcile's; each phase is a file.
package maasmachine

import (
	"context"
	"fmt"
	"maps"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/klog/v2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/controllers/clustercache"
	"sigs.k8s.io/cluster-api/util"
	capicontroller "sigs.k8s.io/cluster-api/util/controller"
	"sigs.k8s.io/cluster-api/util/finalizers"
	"sigs.k8s.io/cluster-api/util/patch"
	"sigs.k8s.io/cluster-api/util/paused"
	"sigs.k8s.io/cluster-api/util/predicates"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/controllers/internal/machinewatch"
	"github.com/capmaas/capmaas/controllers/internal/provisioner"
	"github.com/capmaas/capmaas/controllers/internal/tracing"
	"github.com/capmaas/capmaas/controllers/internal/watchfilter"
)

// +kubebuilder:rbac:groups=infrastructure.cluster.x-k8s.io,resources=maasmachines,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=infrastructure.cluster.x-k8s.io,resources=maasmachines/status,verbs=patch
// +kubebuilder:rbac:groups=infrastructure.cluster.x-k8s.io,resources=maasclusters,verbs=get;list;watch
// +kubebuilder:rbac:groups=cluster.x-k8s.io,resources=clusters;machines,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get
// +kubebuilder:rbac:groups="",resources=configmaps,resourceNames=maas-preferred-subnet,verbs=get;list;watch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// Reconciler reconciles MaasMachines. All fields but Watch and Recorder are required.
type Reconciler struct {
	// Client reads from the cache, Secrets excepted, and writes.
	Client client.Client
	// APIReader reads from the API server itself.
	APIReader client.Reader
	// ClusterCache reaches workload clusters, where they can be reached.
	ClusterCache clustercache.ClusterCache
	// Provisioner is the service.
	Provisioner *provisioner.Client
	// Watch tells of changes in MAAS; nil asks for every machine again and again.
	Watch *machinewatch.Watch
	// Recorder records events.
	Recorder events.EventRecorder
	// Namespace is the only one that is looked at; empty for all.
	Namespace string
	// WatchFilter is the value of the watch-filter label that objects must have; empty for all.
	WatchFilter string
	// CreationsPerCluster is how many machines of one cluster are made at a time; 0 for no limit.
	CreationsPerCluster int
	// Delays are the waits that do not grow, Backoff those that do.
	Delays  provisioner.Delays
	Backoff *provisioner.Backoff
	// Clock tells the time.
	Clock func() time.Time

	groups     groupLocks
	line       line
	tenants    *sharedRead[map[string][]tenant]
	controller controller.Controller
}

// SetupWithManager registers the reconciler and what wakes it.
func (r *Reconciler) SetupWithManager(ctx context.Context, mgr ctrl.Manager, options controller.Options) error {
	log := mgr.GetLogger().WithValues("controller", "maasmachine")
	scheme := mgr.GetScheme()
	byCluster, err := util.ClusterToTypedObjectsMapper(r.Client, &infrav1.MaasMachineList{}, scheme)
	if err != nil {
		return fmt.Errorf("map Clusters to MaasMachines: %w", err)
	}
	builder := capicontroller.NewControllerManagedBy(mgr, log).
		For(&infrav1.MaasMachine{}).
		WithOptions(options).
		WithEventFilter(predicates.ResourceHasFilterLabel(scheme, log, r.WatchFilter)).
		Watches(&clusterv1.Machine{}, handler.EnqueueRequestsFromMapFunc(
			util.MachineToInfrastructureMapFunc(infrav1.GroupVersion.WithKind("MaasMachine")))).
		Watches(&infrav1.MaasCluster{}, handler.EnqueueRequestsFromMapFunc(r.ofMaasCluster), annotationsChanged).
		Watches(&clusterv1.Cluster{}, handler.EnqueueRequestsFromMapFunc(byCluster),
			predicates.ClusterPausedTransitionsOrInfrastructureProvisioned(scheme, log)).
		WatchesRawSource(r.line.source()).
		WatchesRawSource(r.ClusterCache.GetClusterSource("maasmachine", byCluster))
	if r.Watch != nil {
		builder = builder.WatchesRawSource(r.Watch.Source())
	}
	creationsLimit.Set(float64(r.CreationsPerCluster))
	r.tenants = newSharedRead(r.readTenants)
	if r.controller, err = builder.Build(ctx, tracing.Reconciler("MaasMachine", r)); err != nil {
		return fmt.Errorf("set up the MaasMachine controller: %w", err)
	}
	return nil
}

// annotationsChanged lets through what concerns the machines of a MaasCluster: its id and the addresses in its DNS record.
var annotationsChanged = predicate.Funcs{
	UpdateFunc: func(e event.UpdateEvent) bool {
		return !maps.Equal(e.ObjectOld.GetAnnotations(), e.ObjectNew.GetAnnotations())
	},
}

// ofMaasCluster lists the machines of a MaasCluster's Cluster.
func (r *Reconciler) ofMaasCluster(ctx context.Context, o client.Object) []reconcile.Request {
	infra, ok := o.(*infrav1.MaasCluster)
	if !ok {
		return nil
	}
	cluster, err := util.GetOwnerCluster(ctx, r.Client, infra.ObjectMeta)
	if err != nil || cluster == nil {
		return nil
	}
	list := &infrav1.MaasMachineList{}
	selector := client.MatchingLabels{clusterv1.ClusterNameLabel: cluster.Name}
	if err := r.Client.List(ctx, list, client.InNamespace(o.GetNamespace()), selector); err != nil {
		return nil
	}
	requests := make([]reconcile.Request, 0, len(list.Items))
	for i := range list.Items {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
	}
	return requests
}

// Reconcile brings one MaasMachine a step further.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	machine := &infrav1.MaasMachine{}
	if err := r.Client.Get(ctx, req.NamespacedName, machine); err != nil {
		r.forget(req.NamespacedName)
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	ctx = tracing.About(ctx, machine)
	if !watchfilter.Passes(machine, r.WatchFilter) {
		r.forget(req.NamespacedName)
		return ctrl.Result{}, nil // the events of its MaasCluster come here all the same
	}
	s := &scope{machine: machine}
	if known, err := r.relatives(ctx, s); err != nil {
		return ctrl.Result{}, err
	} else if !known {
		// The watch filter keeps back the events of a relative that has no label, so their coming wakes nobody.
		return ctrl.Result{RequeueAfter: r.Delays.Working}, nil
	}
	if s.cluster != nil {
		ctx = ctrl.LoggerInto(ctx, ctrl.LoggerFrom(ctx).WithValues("Cluster", klog.KObj(s.cluster)))
	}
	if _, err := finalizers.EnsureFinalizer(ctx, r.Client, machine, infrav1.MachineFinalizer); err != nil {
		return ctrl.Result{}, fmt.Errorf("add the finalizer: %w", err)
	}
	helper, err := patch.NewHelper(machine, r.Client)
	if err != nil {
		return ctrl.Result{}, fmt.Errorf("prepare the patch: %w", err)
	}
	// Paused comes before deletion too: clusterctl move deletes the objects that it has moved.
	isPaused, requeue, err := paused.EnsurePausedCondition(ctx, r.Client, s.cluster, machine)
	if err != nil || isPaused || requeue {
		r.line.forget(req.NamespacedName, r.CreationsPerCluster)
		phaseCensus.forget(req.NamespacedName)
		if err == nil && isPaused && blocksMove(machine) {
			return r.unblockMove(ctx, s)
		}
		return ctrl.Result{RequeueAfter: r.unheard(0)}, err
	}
	if held := r.heldBack(machine); held > 0 {
		return ctrl.Result{RequeueAfter: held}, nil
	}
	next, err := r.runPhases(ctx, s)
	r.watch(s)
	r.leaveLine(s)
	if err == nil {
		phaseCensus.see(s, r.Clock())
	}
	if s.stage == stageGone {
		return ctrl.Result{}, err // nothing is left to patch
	}
	if err != nil {
		return ctrl.Result{}, err
	}
	next = r.checkOverdue(s, next)
	return ctrl.Result{RequeueAfter: r.unheard(next.after)}, r.patchStatus(ctx, helper, s)
}

// forget drops what is remembered of a machine that is gone, or another manager's.
func (r *Reconciler) forget(machine types.NamespacedName) {
	r.Watch.Forget(machine)
	r.line.forget(machine, r.CreationsPerCluster)
	phaseCensus.forget(machine)
}

// unheard is the wait of a machine that waits for an event, which has none (0): the watch filter keeps back the events of a Machine
// or a Cluster that has no label.
func (r *Reconciler) unheard(after time.Duration) time.Duration {
	if after == 0 && r.WatchFilter != "" {
		return r.Delays.Working
	}
	return after
}

// runPhases runs the phases in order until one stops.
func (r *Reconciler) runPhases(ctx context.Context, s *scope) (step, error) {
	if !s.machine.DeletionTimestamp.IsZero() {
		return r.reconcileDelete(ctx, s)
	}
	if wasDeployed(s.machine) {
		return r.reconcileRunning(ctx, s)
	}
	phases := []func(context.Context, *scope) (step, error){r.waitForInfrastructure, r.readBootstrapData}
	if s.isVM() {
		phases = append(phases, r.loadAttempts, r.selectHost, r.composeVM, r.deployVM)
	} else {
		phases = append(phases, r.ensureAgentName, r.allocateMachine, r.deployMachine)
	}
	phases = append(phases, r.reconcileNode)
	for _, run := range phases {
		if next, err := run(ctx, s); err != nil || next.stop {
			return next, err
		}
	}
	return stopFor(r.Delays.Idle), nil
}

// relatives finds the Machine, the Cluster and the MaasCluster. It is false where one is not there yet; an object that is
// being deleted goes on without them, because what it made has to be removed all the same.
func (r *Reconciler) relatives(ctx context.Context, s *scope) (bool, error) {
	log, deleting := ctrl.LoggerFrom(ctx), !s.machine.DeletionTimestamp.IsZero()
	var err error
	if s.owner, err = util.GetOwnerMachine(ctx, r.Client, s.machine.ObjectMeta); client.IgnoreNotFound(err) != nil {
		return false, fmt.Errorf("get the owner Machine: %w", err)
	}
	if s.owner == nil && !deleting {
		log.V(2).Info("Waiting for Cluster API to set the owner")
		return false, nil
	}
	name := s.machine.Labels[clusterv1.ClusterNameLabel]
	if s.owner != nil {
		name = s.owner.Spec.ClusterName
	}
	if s.cluster, err = util.GetClusterByName(ctx, r.Client, s.machine.Namespace, name); client.IgnoreNotFound(err) != nil {
		return false, fmt.Errorf("get the Cluster: %w", err)
	}
	if s.cluster == nil || s.cluster.Name == "" {
		s.cluster = nil
		return deleting, nil
	}
	infra := &infrav1.MaasCluster{}
	key := client.ObjectKey{Namespace: s.machine.Namespace, Name: s.cluster.Spec.InfrastructureRef.Name}
	if err := r.Client.Get(ctx, key, infra); err == nil {
		s.infra = infra
	} else if client.IgnoreNotFound(err) != nil {
		return false, fmt.Errorf("get the MaasCluster: %w", err)
	}
	return s.infra != nil || deleting, nil
}

// stopped notes why a phase could not go on, and says when to look again.
func (r *Reconciler) stopped(ctx context.Context, s *scope, at stage, out provisioner.Outcome) step {
	s.stage, s.problem = at, out
	after := out.Delay
	switch out.Action {
	case provisioner.Retry:
		after = r.Backoff.Fail(s.machine.UID, s.machine.Generation)
	case provisioner.Blocked:
		r.Backoff.Hold(s.machine.UID, s.machine.Generation, after)
	case provisioner.Done, provisioner.Wait, provisioner.NextAttempt:
	}
	log := ctrl.LoggerFrom(ctx).WithValues("reason", out.Reason, "action", out.Action.String(), "retryAfter", after)
	if s.current != nil {
		log = log.WithValues("vm", s.current.Name, "host", s.current.HostName, "attempt", s.current.Number)
	}
	log.Info("Waiting after an answer of the provisioner", "answer", out.Message)
	return stopFor(after)
}
