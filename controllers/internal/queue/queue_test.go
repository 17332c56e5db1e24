package queue_test

import (
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/capmaas/capmaas/controllers/internal/queue"
)

func limiter() workqueue.TypedRateLimiter[reconcile.Request] {
	return workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]()
}

func request(i int) reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Name: strconv.Itoa(i)}}
}

func TestNew_gives_a_queue_that_hands_out_the_most_urgent_first_and_one_item_to_one_worker(t *testing.T) {
	t.Parallel()
	q, ok := queue.New("order", limiter()).(priorityqueue.PriorityQueue[reconcile.Request])
	require.True(t, ok, "the controller asks for priorities")
	defer q.ShutDown()
	q.AddWithOpts(priorityqueue.AddOpts{Priority: new(-1)}, request(1))
	q.AddWithOpts(priorityqueue.AddOpts{Priority: new(1)}, request(2))
	item, priority, shutdown := q.GetWithPriority()
	assert.Equal(t, request(2), item)
	assert.Equal(t, 1, priority)
	assert.False(t, shutdown)
	q.Add(request(2))
	item, _ = q.Get()
	assert.Equal(t, request(1), item, "the other is with its worker")
	q.Done(request(2))
	item, _ = q.Get()
	assert.Equal(t, request(2), item)
}

func TestNew_gives_a_queue_that_ends_though_items_are_handed_out(t *testing.T) {
	t.Parallel()
	const queues, workers = 200, 8
	for range queues {
		q := queue.New("end", limiter())
		var working sync.WaitGroup
		for range workers {
			working.Go(func() {
				for {
					item, shutdown := q.Get()
					if shutdown {
						return
					}
					q.Done(item)
				}
			})
		}
		for i := range 4 * workers {
			go q.Add(request(i))
		}
		q.ShutDown()
		gone := make(chan struct{})
		go func() {
			working.Wait()
			close(gone)
		}()
		require.Eventually(t, func() bool {
			select {
			case <-gone:
				return true
			default:
				return false
			}
		}, time.Minute, time.Millisecond, "a worker is held")
	}
	_, shutdown := ended().Get()
	assert.True(t, shutdown)
}

func ended() workqueue.TypedRateLimitingInterface[reconcile.Request] {
	q := queue.New("ended", limiter())
	q.ShutDownWithDrain()
	return q
}
