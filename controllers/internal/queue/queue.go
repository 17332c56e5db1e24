// Package queue is controller-runtime's priority queue, made to end. Up to v0.25.1 that queue may hand an item, under its locks,
// to a worker that a shut-down has sent away: all other workers then wait for the locks, and the manager for its workers, until its
// grace is over (mended in v0.25.2, which wants another minor version of Kubernetes' modules than Cluster API has).
package queue

import (
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// New makes a controller's queue; it is a controller.Options.NewQueue.
func New(name string, limiter workqueue.TypedRateLimiter[reconcile.Request]) workqueue.TypedRateLimitingInterface[reconcile.Request] {
	return &queue{
		PriorityQueue: priorityqueue.New(name, func(o *priorityqueue.Opts[reconcile.Request]) { o.RateLimiter = limiter }),
		ended:         make(chan struct{}),
	}
}

// queue lets its workers go when it ends, whatever the queue beneath does.
type queue struct {
	priorityqueue.PriorityQueue[reconcile.Request]

	ended chan struct{}
}

// taken is what a worker was given.
type taken struct {
	item     reconcile.Request
	priority int
	shutdown bool
}

// GetWithPriority implements priorityqueue.PriorityQueue.
func (q *queue) GetWithPriority() (item reconcile.Request, priority int, shutdown bool) {
	given := make(chan taken, 1)
	go func() {
		var t taken
		t.item, t.priority, t.shutdown = q.PriorityQueue.GetWithPriority()
		given <- t
	}()
	select {
	case t := <-given:
		return t.item, t.priority, t.shutdown
	case <-q.ended:
		return reconcile.Request{}, 0, true
	}
}

// Get implements workqueue.TypedInterface.
func (q *queue) Get() (item reconcile.Request, shutdown bool) {
	item, _, shutdown = q.GetWithPriority()
	return item, shutdown
}

// Done implements workqueue.TypedInterface.
func (q *queue) Done(item reconcile.Request) {
	noted := make(chan struct{})
	go func() {
		defer close(noted)
		q.PriorityQueue.Done(item)
	}()
	select {
	case <-noted:
	case <-q.ended:
	}
}

// ShutDown implements workqueue.TypedInterface.
func (q *queue) ShutDown() {
	q.PriorityQueue.ShutDown()
	close(q.ended)
}

// ShutDownWithDrain implements workqueue.TypedInterface; as in the queue beneath, nothing is drained.
func (q *queue) ShutDownWithDrain() { q.ShutDown() }
