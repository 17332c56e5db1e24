package maasmachine

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
)

// line lets a bounded number of each cluster's machines be made at a time, so that one cluster that grows by a thousand does
// not keep the others waiting in MAAS. Control planes come first, then the oldest. It is lost with the process: what is
// being made is found again in the attempts.
type line struct {
	mu       sync.Mutex
	clusters map[client.ObjectKey]*clusterLine
	queue    workqueue.TypedRateLimitingInterface[reconcile.Request]
}

// clusterLine is one cluster's machines that are being made, and those that wait for it.
type clusterLine struct {
	making  map[types.UID]client.ObjectKey
	waiting map[types.UID]place
}

// place is where a machine stands among those that wait.
type place struct {
	object  client.ObjectKey
	worker  bool
	created int64
}

func (p place) compare(other place) int {
	if p.worker != other.worker {
		if p.worker {
			return 1
		}
		return -1
	}
	return cmp.Or(cmp.Compare(p.created, other.created), cmp.Compare(p.object.Name, other.object.Name))
}

// source gives the line the controller's queue, to wake those whose turn it is.
func (l *line) source() source.Source { //nolint:ireturn // the controller takes nothing else
	return source.Func(func(_ context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.queue = queue
		return nil
	})
}

// takeTurn stops a machine for which nothing was begun until it is its turn. One that has begun goes on, whatever the limit.
func (r *Reconciler) takeTurn(ctx context.Context, s *scope, begun bool) (step, error) {
	if r.CreationsPerCluster == 0 {
		return proceed, nil
	}
	key := client.ObjectKeyFromObject(s.cluster)
	if err := r.seedLine(ctx, key); err != nil {
		return step{}, err
	}
	if r.line.enter(key, s, r.CreationsPerCluster, begun) {
		return proceed, nil
	}
	s.stage = stageTurn
	s.waiting = fmt.Sprintf("waiting for its turn: %d machines of the cluster are made at a time", r.CreationsPerCluster)
	return stopFor(r.Delays.Slow), nil
}

// seedLine finds out, once for each cluster, what was being made when the process began.
func (r *Reconciler) seedLine(ctx context.Context, cluster client.ObjectKey) error {
	r.line.mu.Lock()
	_, known := r.line.clusters[cluster]
	r.line.mu.Unlock()
	if known {
		return nil
	}
	machines := &infrav1.MaasMachineList{}
	inCluster := client.MatchingLabels{clusterv1.ClusterNameLabel: cluster.Name}
	if err := r.Client.List(ctx, machines, client.InNamespace(cluster.Namespace), inCluster); err != nil {
		return fmt.Errorf("list MaasMachines: %w", err)
	}
	making := map[types.UID]client.ObjectKey{}
	for i := range machines.Items {
		if m := &machines.Items[i]; isStoredAsBeingMade(m) {
			making[m.UID] = client.ObjectKeyFromObject(m)
		}
	}
	r.line.mu.Lock()
	defer r.line.mu.Unlock()
	if r.line.clusters == nil {
		r.line.clusters = map[client.ObjectKey]*clusterLine{}
	}
	if _, known := r.line.clusters[cluster]; !known {
		r.line.clusters[cluster] = &clusterLine{making: making, waiting: map[types.UID]place{}}
	}
	return nil
}

// isStoredAsBeingMade says whether, by what is stored, MAAS has been asked for the machine and is not done.
func isStoredAsBeingMade(m *infrav1.MaasMachine) bool {
	if wasDeployed(m) || !m.DeletionTimestamp.IsZero() {
		return false
	}
	if m.Spec.Mode() != infrav1.ModeLXD {
		// The first stands until the outcome of an allocation is known, the second from then on.
		return m.Annotations[infrav1.BareMetalSentAtAnnotation] != "" || m.Annotations[infrav1.BareMetalAllocatedAtAnnotation] != ""
	}
	all, err := attemptsOf(m)
	if err != nil {
		return false // its own reconcile says so
	}
	current := all.current()
	return current != nil && !current.GivenUp
}

// enter says whether the machine may be made, and notes that it is, or that it waits.
func (l *line) enter(cluster client.ObjectKey, s *scope, most int, begun bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.clusters[cluster]
	defer c.tell(cluster)
	if _, ok := c.making[s.machine.UID]; ok {
		return true
	}
	c.waiting[s.machine.UID] = place{
		object: client.ObjectKeyFromObject(s.machine), worker: !s.isControlPlane(), created: s.machine.CreationTimestamp.Unix(),
	}
	if !begun && !slices.Contains(c.next(most), c.waiting[s.machine.UID]) {
		return false
	}
	delete(c.waiting, s.machine.UID)
	c.making[s.machine.UID] = client.ObjectKeyFromObject(s.machine)
	return true
}

// next gives those whose turn it is.
func (c *clusterLine) next(most int) []place {
	all := make([]place, 0, len(c.waiting))
	for _, p := range c.waiting {
		all = append(all, p)
	}
	slices.SortFunc(all, place.compare)
	return all[:min(len(all), max(most-len(c.making), 0))]
}

// leaveLine makes room for the next once the machine is not being made any more, or cannot be: one for which there is no host must
// not keep others from theirs.
func (r *Reconciler) leaveLine(s *scope) {
	if s.cluster == nil || s.stage == stageTurn || s.isBeingMade() {
		return
	}
	r.line.leave(client.ObjectKeyFromObject(s.cluster), s.machine.UID, r.CreationsPerCluster)
}

// isBeingMade says whether MAAS has been asked for the machine and is not done.
func (s *scope) isBeingMade() bool {
	switch {
	case s.stage != stageCompose && s.stage != stageDeploy:
		return false
	case s.isVM():
		return s.current != nil && !s.current.GivenUp
	default:
		return s.found != nil || s.record != nil && isStoredAsBeingMade(s.record.object)
	}
}

func (l *line) leave(cluster client.ObjectKey, machine types.UID, most int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c, ok := l.clusters[cluster]
	if !ok {
		return
	}
	_, waited := c.waiting[machine]
	if _, made := c.making[machine]; !waited && !made {
		return
	}
	delete(c.making, machine)
	delete(c.waiting, machine)
	c.tell(cluster)
	if l.queue == nil {
		return
	}
	for _, p := range c.next(most) {
		l.queue.Add(reconcile.Request{NamespacedName: p.object})
	}
}

// forget lets an object that is gone, or paused, leave its line.
func (l *line) forget(object client.ObjectKey, most int) {
	l.mu.Lock()
	left := map[client.ObjectKey]types.UID{}
	for cluster, c := range l.clusters {
		for uid, p := range c.waiting {
			if p.object == object {
				left[cluster] = uid
			}
		}
		for uid, made := range c.making {
			if made == object {
				left[cluster] = uid
			}
		}
	}
	l.mu.Unlock()
	for cluster, uid := range left {
		l.leave(cluster, uid, most)
	}
}

// tell sets the metrics of a cluster.
func (c *clusterLine) tell(cluster client.ObjectKey) {
	for gauge, n := range map[string]int{"making": len(c.making), "waiting": len(c.waiting)} {
		if n == 0 {
			creations.DeleteLabelValues(cluster.Namespace, cluster.Name, gauge)
		} else {
			creations.WithLabelValues(cluster.Namespace, cluster.Name, gauge).Set(float64(n))
		}
	}
}
