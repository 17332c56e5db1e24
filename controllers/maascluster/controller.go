// Package maascluster reconciles MaasClusters: the control plane's DNS record, of which it is the only writer, and the
// zones over which machines are spread.
package maascluster

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/klog/v2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/controllers/clustercache"
	"sigs.k8s.io/cluster-api/util"
	"sigs.k8s.io/cluster-api/util/annotations"
	capicontroller "sigs.k8s.io/cluster-api/util/controller"
	"sigs.k8s.io/cluster-api/util/finalizers"
	"sigs.k8s.io/cluster-api/util/patch"
	"sigs.k8s.io/cluster-api/util/paused"
	"sigs.k8s.io/cluster-api/util/predicates"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/controllers/internal/provisioner"
	"github.com/capmaas/capmaas/controllers/internal/tracing"
	"github.com/capmaas/capmaas/controllers/internal/watchfilter"
)

// +kubebuilder:rbac:groups=infrastructure.cluster.x-k8s.io,resources=maasclusters,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=infrastructure.cluster.x-k8s.io,resources=maasclusters/status,verbs=patch
// +kubebuilder:rbac:groups=infrastructure.cluster.x-k8s.io,resources=maasmachines,verbs=get;list;watch
// +kubebuilder:rbac:groups=cluster.x-k8s.io,resources=clusters;machines,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get
// +kubebuilder:rbac:groups="",resources=configmaps,resourceNames=maas-preferred-subnet,verbs=get;list;watch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// Prober asks a control plane's machine whether its API server answers.
type Prober interface {
	// Answers says whether https://<ip>:<port>/readyz answers as an API server does. It comes back within seconds.
	Answers(ctx context.Context, ip string, port int32) bool
}

// Reconciler reconciles MaasClusters. All fields but Recorder are required.
type Reconciler struct {
	// Client reads from the cache, Secrets excepted, and writes.
	Client client.Client
	// APIReader reads from the API server itself.
	APIReader client.Reader
	// ClusterCache reaches workload clusters, where they can be reached.
	ClusterCache clustercache.ClusterCache
	// Provisioner is the service, Region what is known of it and its MAAS.
	Provisioner *provisioner.Client
	Region      *provisioner.Region
	// Prober finds out which control planes may join the DNS record.
	Prober Prober
	// Recorder records events.
	Recorder events.EventRecorder
	// WatchFilter is the value of the watch-filter label that objects must have; empty for all.
	WatchFilter string
	// Delays are the waits that do not grow, Backoff those that do.
	Delays  provisioner.Delays
	Backoff *provisioner.Backoff
	// Clock tells the time.
	Clock func() time.Time

	written writtenRecords
}

// writtenRecords remembers what each cluster's record was last given, and when. It spares MAAS a question whose answer has
// not changed, and a stale cache cannot take back what was written a moment ago. Who starts anew reads the annotation.
type writtenRecords struct {
	mu  sync.Mutex
	all map[types.UID]writtenRecord
}

type writtenRecord struct {
	addresses []string
	at        time.Time
}

// SetupWithManager registers the reconciler and what wakes it.
func (r *Reconciler) SetupWithManager(ctx context.Context, mgr ctrl.Manager, options controller.Options) error {
	log := mgr.GetLogger().WithValues("controller", "maascluster")
	scheme := mgr.GetScheme()
	ofCluster := util.ClusterToInfrastructureMapFunc(ctx, infrav1.GroupVersion.WithKind("MaasCluster"), r.Client, &infrav1.MaasCluster{})
	err := capicontroller.NewControllerManagedBy(mgr, log).
		For(&infrav1.MaasCluster{}).
		WithOptions(options).
		WithEventFilter(predicates.All(scheme, log,
			predicates.ResourceHasFilterLabel(scheme, log, r.WatchFilter), predicates.ResourceIsNotExternallyManaged(scheme, log))).
		Watches(&clusterv1.Cluster{}, handler.EnqueueRequestsFromMapFunc(ofCluster)).
		Watches(&infrav1.MaasMachine{}, handler.EnqueueRequestsFromMapFunc(r.ofMaasMachine)).
		Watches(&clusterv1.Machine{}, handler.EnqueueRequestsFromMapFunc(r.ofMachine)).
		Watches(&corev1.ConfigMap{}, handler.EnqueueRequestsFromMapFunc(r.ofPreference)).
		WatchesRawSource(r.ClusterCache.GetClusterSource("maascluster", ofCluster)).
		Complete(ctx, tracing.Reconciler("MaasCluster", r))
	if err != nil {
		return fmt.Errorf("set up the MaasCluster controller: %w", err)
	}
	return nil
}

// ofPreference gives the MaasClusters whose control planes the ConfigMap of preferred subnets is about.
func (r *Reconciler) ofPreference(ctx context.Context, o client.Object) []reconcile.Request {
	var clusters infrav1.MaasClusterList
	if err := r.Client.List(ctx, &clusters, client.InNamespace(o.GetNamespace())); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Leaving a change of the preferred subnets to the next look at each cluster")
		return nil
	}
	requests := make([]reconcile.Request, 0, len(clusters.Items))
	for i := range clusters.Items {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&clusters.Items[i])})
	}
	return requests
}

// ofMachine gives the MaasCluster of a control plane's Machine, whose conditions may say that its API server is healthy.
func (r *Reconciler) ofMachine(ctx context.Context, o client.Object) []reconcile.Request {
	if _, ok := o.GetLabels()[clusterv1.MachineControlPlaneLabel]; !ok {
		return nil
	}
	return r.ofMaasMachine(ctx, o)
}

// ofMaasMachine gives the MaasCluster of an object by the label with the Cluster's name.
func (r *Reconciler) ofMaasMachine(ctx context.Context, o client.Object) []reconcile.Request {
	name := o.GetLabels()[clusterv1.ClusterNameLabel]
	cluster, err := util.GetClusterByName(ctx, r.Client, o.GetNamespace(), name)
	if err != nil || !cluster.Spec.InfrastructureRef.IsDefined() {
		return nil
	}
	key := types.NamespacedName{Namespace: o.GetNamespace(), Name: cluster.Spec.InfrastructureRef.Name}
	return []reconcile.Request{{NamespacedName: key}}
}

// scope is what the phases of one reconcile share. Phases write to it; status.go reads it.
type scope struct {
	infra   *infrav1.MaasCluster
	cluster *clusterv1.Cluster

	// region is what is wrong with the provisioner or its MAAS; its zero value means nothing.
	region problem
	// endpoint is what is wrong with the DNS record.
	endpoint problem
	// found are the addresses of a record of which there is no note; nil where it was not read.
	found []string
	// custom says that somebody else keeps the record.
	custom bool
	// recorded says that the record is as it has to be, failureDomainsKnown that the zones are known.
	recorded, failureDomainsKnown bool
	// zones is how many zones MAAS has; -1 where it could not be asked, 0 where the spec names some.
	zones int
	// connected says whether the workload cluster's API server answers; nil where it can't be known.
	connected *bool
	// waiting says what a deletion waits for.
	waiting string
}

// problem is what one part of the cluster lacks.
type problem struct{ reason, message string }

func (p problem) isZero() bool { return p.reason == "" }

// Reconcile brings one MaasCluster a step further.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	infra := &infrav1.MaasCluster{}
	if err := r.Client.Get(ctx, req.NamespacedName, infra); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	ctx = tracing.About(ctx, infra)
	if annotations.IsExternallyManaged(infra) || !watchfilter.Passes(infra, r.WatchFilter) {
		r.written.forget(infra.UID) // whoever keeps the record now notes what it holds
		return ctrl.Result{}, nil   // the events of its machines come here all the same, and those of what all clusters share
	}
	cluster, err := util.GetOwnerCluster(ctx, r.Client, infra.ObjectMeta)
	if client.IgnoreNotFound(err) != nil {
		return ctrl.Result{}, fmt.Errorf("get the owner Cluster: %w", err)
	}
	if cluster == nil && infra.DeletionTimestamp.IsZero() {
		ctrl.LoggerFrom(ctx).V(2).Info("Waiting for Cluster API to set the owner")
		// The watch filter keeps back the events of a Cluster that has no label, so its coming wakes nobody.
		return ctrl.Result{RequeueAfter: r.Delays.Working}, nil
	}
	if cluster != nil {
		ctx = ctrl.LoggerInto(ctx, ctrl.LoggerFrom(ctx).WithValues("Cluster", klog.KObj(cluster)))
	}
	if _, err := finalizers.EnsureFinalizer(ctx, r.Client, infra, infrav1.ClusterFinalizer); err != nil {
		return ctrl.Result{}, fmt.Errorf("add the finalizer: %w", err)
	}
	// Paused comes before deletion too: clusterctl move deletes the objects that it has moved.
	isPaused, requeue, err := paused.EnsurePausedCondition(ctx, r.Client, cluster, infra)
	if err != nil || isPaused || requeue {
		if isPaused && r.WatchFilter != "" {
			// It keeps back the events of a Cluster that has no label, so that nobody tells when the pause is over.
			return ctrl.Result{RequeueAfter: r.Delays.Working}, err
		}
		return ctrl.Result{}, err
	}
	s := &scope{infra: infra, cluster: cluster}
	if !infra.DeletionTimestamp.IsZero() {
		return r.reconcileDelete(ctx, s)
	}
	if err := r.ensureIdentity(ctx, s); err != nil {
		return ctrl.Result{}, err
	}
	helper, err := patch.NewHelper(infra, r.Client)
	if err != nil {
		return ctrl.Result{}, fmt.Errorf("prepare the patch: %w", err)
	}
	after, err := r.reconcileNormal(ctx, s)
	if err != nil {
		return ctrl.Result{}, err
	}
	return ctrl.Result{RequeueAfter: after}, r.patchStatus(ctx, helper, s)
}

// reconcileNormal runs the phases. They do not depend on each other, so that one that fails does not hide the rest.
func (r *Reconciler) reconcileNormal(ctx context.Context, s *scope) (time.Duration, error) {
	after := r.Delays.Idle
	look := []func(context.Context, *scope) (time.Duration, error){
		r.checkRegion, r.reconcileFailureDomains, r.reconcileEndpoint, r.checkAPIServer,
	}
	for _, run := range look {
		next, err := run(ctx, s)
		if err != nil {
			return 0, err
		}
		if next > 0 {
			after = min(after, next)
		}
	}
	return after, nil
}

// outcome reads an answer: what is wrong, and when to look again. Failures grow the wait until the next success.
// The DNS record is the only thing that is written, so it alone has a growing wait.
func (r *Reconciler) outcome(ctx context.Context, s *scope, err error) (problem, time.Duration) {
	out := r.Delays.Of(err)
	if out.Action == provisioner.Done {
		r.Backoff.Succeed(s.infra.UID)
		return problem{}, 0
	}
	after := out.Delay
	if after == 0 {
		after = r.Backoff.Fail(s.infra.UID, s.infra.Generation)
	}
	ctrl.LoggerFrom(ctx).Info("Waiting after an answer of the provisioner", "reason", out.Reason, "answer", out.Message, "retryAfter", after)
	return problem{reason: out.Reason, message: out.Message}, after
}
