package campaign

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/test/e2e/internal/management"
)

// watcher knows what Kubernetes says of all clusters, and when it first said it.
type watcher struct {
	now   func() time.Time
	stop  context.CancelFunc
	ended chan struct{}

	mu       sync.Mutex
	clusters map[string]*clusterv1.Cluster
	machines map[string]map[string]*clusterv1.Machine // by cluster and name
	infra    map[string]map[string]*infrav1.MaasMachine
	births   map[string]*birth // by the MaasMachine's name
	// born is told of each machine that is provisioned, once, and died of each that is gone, with the time from its deletion.
	born func(birth)
	died func(time.Duration)
}

// birth is when a MaasMachine was first seen so. Times are zero before.
type birth struct {
	systemID string
	vm       bool
	// created is when it was there, bootstrapped when its Machine had user data, provisioned when it said so.
	created, bootstrapped, provisioned time.Time
	// deleted is when somebody wanted it gone.
	deleted time.Time
}

// wanted is when everything was there that the machine needs to be made.
func (b birth) wanted() time.Time {
	if b.bootstrapped.After(b.created) {
		return b.bootstrapped
	}
	return b.created
}

// watch begins to watch.
func watch(ctx context.Context, config *rest.Config, now func() time.Time, born func(birth), died func(time.Duration)) (*watcher, error) {
	w := &watcher{
		now: now, ended: make(chan struct{}), born: born, died: died, clusters: make(map[string]*clusterv1.Cluster), machines: make(map[string]map[string]*clusterv1.Machine),
		infra: make(map[string]map[string]*infrav1.MaasMachine), births: make(map[string]*birth),
	}
	informers, err := cache.New(config, cache.Options{
		Scheme: management.Scheme(), DefaultNamespaces: map[string]cache.Config{namespace: {}}, DefaultTransform: cache.TransformStripManagedFields(),
	})
	if err != nil {
		return nil, fmt.Errorf("watch the management cluster: %w", err)
	}
	for _, object := range []client.Object{&clusterv1.Cluster{}, &clusterv1.Machine{}, &infrav1.MaasMachine{}} {
		informer, err := informers.GetInformer(ctx, object, cache.BlockUntilSynced(false))
		if err != nil {
			return nil, fmt.Errorf("watch %T: %w", object, err)
		}
		if _, err := informer.AddEventHandler(w.handler()); err != nil {
			return nil, fmt.Errorf("watch %T: %w", object, err)
		}
	}
	ctx, w.stop = context.WithCancel(ctx)
	go func() {
		defer close(w.ended)
		_ = informers.Start(ctx) // it ends with the context
	}()
	if !informers.WaitForCacheSync(ctx) {
		w.end()
		return nil, fmt.Errorf("watch the management cluster: %w", context.Cause(ctx))
	}
	return w, nil
}

// end ends the watching: an API server waits for its watches when it ends.
func (w *watcher) end() {
	w.stop()
	<-w.ended
}

func (w *watcher) handler() toolscache.ResourceEventHandler { //nolint:ireturn // client-go has no other type for it
	return toolscache.ResourceEventHandlerFuncs{
		AddFunc:    w.seen,
		UpdateFunc: func(_, now any) { w.seen(now) },
		DeleteFunc: func(gone any) {
			if last, ok := gone.(toolscache.DeletedFinalStateUnknown); ok {
				gone = last.Obj
			}
			w.gone(gone)
		},
	}
}

func (w *watcher) seen(object any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch o := object.(type) {
	case *clusterv1.Cluster:
		w.clusters[o.Name] = o
	case *clusterv1.Machine:
		put(w.machines, o.Spec.ClusterName, o.Name, o)
		if o.Spec.Bootstrap.DataSecretName != nil {
			note(&w.birth(o.Spec.InfrastructureRef.Name).bootstrapped, w.now())
		}
	case *infrav1.MaasMachine:
		put(w.infra, o.Labels[clusterv1.ClusterNameLabel], o.Name, o)
		b := w.birth(o.Name)
		b.systemID, b.vm = ptr.Deref(o.Spec.SystemID, ""), o.Spec.Mode() == infrav1.ModeLXD
		note(&b.created, w.now())
		if !o.DeletionTimestamp.IsZero() {
			note(&b.deleted, w.now())
		}
		if b.provisioned.IsZero() && ptr.Deref(o.Status.Initialization.Provisioned, false) {
			b.provisioned = w.now()
			w.born(*b)
		}
	}
}

func (w *watcher) gone(object any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch o := object.(type) {
	case *clusterv1.Cluster:
		delete(w.clusters, o.Name)
	case *clusterv1.Machine:
		delete(w.machines[o.Spec.ClusterName], o.Name)
	case *infrav1.MaasMachine:
		delete(w.infra[o.Labels[clusterv1.ClusterNameLabel]], o.Name)
		if b := w.births[o.Name]; b != nil && !b.deleted.IsZero() {
			w.died(w.now().Sub(b.deleted))
		}
		delete(w.births, o.Name)
	}
}

func (w *watcher) birth(name string) *birth {
	if w.births[name] == nil {
		w.births[name] = &birth{}
	}
	return w.births[name]
}

// settled says what a cluster lacks of being available with all machines ready at the versions, none too many.
func (w *watcher) settled(name, controlPlane, workers string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	cluster := w.clusters[name]
	if cluster == nil {
		return fmt.Errorf("cluster %s is not there", name)
	}
	if available := meta.FindStatusCondition(cluster.Status.Conditions, clusterv1.AvailableCondition); available == nil || available.Status != metav1.ConditionTrue {
		return fmt.Errorf("cluster %s: %s", name, words(available))
	}
	have := make(map[string]int)
	for _, m := range w.machines[name] {
		want := workers
		if _, ok := m.Labels[clusterv1.MachineControlPlaneLabel]; ok {
			want = controlPlane
			have["control planes"]++
		}
		ready := meta.FindStatusCondition(m.Status.Conditions, clusterv1.ReadyCondition)
		if m.Spec.Version != want || m.Status.Phase != string(clusterv1.MachinePhaseRunning) || ready == nil || ready.Status != metav1.ConditionTrue {
			return fmt.Errorf("machine %s is %s at %s: %s", m.Name, m.Status.Phase, m.Spec.Version, words(ready))
		}
	}
	if all := len(w.machines[name]); all != machinesPerCluster || have["control planes"] != controlPlanes || len(w.infra[name]) != all {
		return fmt.Errorf("cluster %s has %d machines and %d MaasMachines, of which %d are control planes", name, all, len(w.infra[name]), have["control planes"])
	}
	return nil
}

// left says what is left of a cluster.
func (w *watcher) left(name string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.clusters[name] != nil || len(w.machines[name])+len(w.infra[name]) > 0 {
		return fmt.Errorf("of cluster %s %d machines and %d MaasMachines are left", name, len(w.machines[name]), len(w.infra[name]))
	}
	return nil
}

// doing counts the MaasMachines by what the reason of their Ready condition is.
func (w *watcher) doing() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	counts := make(map[string]int)
	for infra := range maps.Values(w.infra) {
		for _, m := range infra {
			reason := "Unknown"
			if ready := meta.FindStatusCondition(m.Status.Conditions, clusterv1.ReadyCondition); ready != nil {
				reason = ready.Reason
			}
			counts[reason]++
		}
	}
	return counts
}

func words(condition *metav1.Condition) string {
	if condition == nil {
		return "it has no such condition"
	}
	return condition.Reason + " " + strings.ReplaceAll(condition.Message, "\n", " ")
}

func put[T any](all map[string]map[string]T, cluster, name string, value T) {
	if all[cluster] == nil {
		all[cluster] = make(map[string]T)
	}
	all[cluster][name] = value
}

// note keeps the first time.
func note(at *time.Time, now time.Time) {
	if at.IsZero() {
		*at = now
	}
}
