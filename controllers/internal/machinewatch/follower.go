package machinewatch

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// mostSubjects is how many machines one stream may name; the contract's limit. Those beyond it are not covered.
const mostSubjects = 10000

// told is one event of a stream.
type told struct {
	// name is what the stream calls the machine; empty for synced.
	name   string
	status *lxdprovisionerv1.MachineStatus // nil where the machine is gone
	synced bool
}

// open opens a stream over subjects and gives the function that waits for its next event.
type open func(ctx context.Context, subjects []Subject) (func() (told, error), error)

// follower keeps one stream open over a changing set of machines.
type follower struct {
	kind    string
	timing  Timing
	random  func() float64
	open    open
	changed chan struct{}

	mu       sync.Mutex
	subjects map[client.ObjectKey]*followed
	objects  map[string]client.ObjectKey // by the name that the stream uses
	news     map[client.ObjectKey]bool   // objects that were woken and have not asked since
}

// followed is a subject; another machine of the same object is another followed.
type followed struct {
	Subject

	name string
	// covered says that an open stream has told of it.
	covered bool
}

func newFollower(kind string, timing Timing, random func() float64, open open) *follower {
	return &follower{
		kind: kind, timing: timing, random: random, open: open, changed: make(chan struct{}, 1),
		subjects: map[client.ObjectKey]*followed{}, objects: map[string]client.ObjectKey{}, news: map[client.ObjectKey]bool{},
	}
}

func (f *follower) follow(s Subject, name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if old, ok := f.subjects[s.Object]; ok && old.name == name && proto.Equal(old.VM, s.VM) && proto.Equal(old.Machine, s.Machine) {
		old.Status = s.Status
		return
	}
	f.drop(s.Object)
	f.subjects[s.Object], f.objects[name] = &followed{Subject: s, name: name}, s.Object
	f.announce()
}

func (f *follower) forget(object client.ObjectKey) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.drop(object) {
		f.announce()
	}
}

func (f *follower) drop(object client.ObjectKey) bool {
	old, ok := f.subjects[object]
	if ok {
		delete(f.subjects, object)
		delete(f.objects, old.name)
		delete(f.news, object)
	}
	return ok
}

// takeNews says whether the object was woken since it was last asked.
func (f *follower) takeNews(object client.ObjectKey) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	news := f.news[object]
	delete(f.news, object)
	return news
}

func (f *follower) announce() {
	select {
	case f.changed <- struct{}{}:
	default:
	}
}

func (f *follower) covers(object client.ObjectKey) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	s, ok := f.subjects[object]
	return ok && s.covered
}

// snapshot is the set that the next stream is opened over.
func (f *follower) snapshot() []*followed {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := slices.SortedFunc(maps.Values(f.subjects), func(a, b *followed) int { return cmp.Compare(a.name, b.name) })
	return all[:min(len(all), mostSubjects)]
}

// run keeps the stream open until the context ends.
func (f *follower) run(ctx context.Context, wake func(client.ObjectKey)) {
	var live *stream
	failures := 0
	for ctx.Err() == nil {
		var opened bool
		if live, opened = f.replace(ctx, live, wake); opened {
			failures = 0
		}
		select {
		case <-ctx.Done():
		case <-f.changed:
			pause(ctx, f.timing.Settle)
		case <-live.end():
			f.cover(live.subjects, false)
			f.failed(ctx, failures, live.err)
			pause(ctx, f.delay(failures))
			failures++
		}
	}
	live.close()
}

// replace opens a stream over the machines as they are, waits until it has told of each, and only then closes the last
// one, so that no change falls between them and the service need not begin anew. The stream is nil where there is nothing
// to follow, and not opened where it ended before.
func (f *follower) replace(ctx context.Context, last *stream, wake func(client.ObjectKey)) (next *stream, opened bool) {
	defer last.close()
	subjects := f.snapshot()
	if len(subjects) == 0 {
		return nil, true
	}
	next = f.start(ctx, subjects, wake)
	select {
	case <-next.synced:
		f.cover(subjects, true)
		return next, true
	case <-next.ended:
		return next, false
	}
}

// delay doubles with every failure in a row, and strays by a fifth to either side.
func (f *follower) delay(failures int) time.Duration {
	delay := f.timing.LongestDelay
	if failures < 16 {
		delay = min(f.timing.FirstDelay<<failures, f.timing.LongestDelay)
	}
	return time.Duration(float64(delay) * (0.8 + 0.4*f.random()))
}

// failed logs the first failure in a row; the machines are asked for one by one meanwhile.
func (f *follower) failed(ctx context.Context, before int, err error) {
	interruptions.WithLabelValues(f.kind).Inc()
	if before == 0 && ctx.Err() == nil {
		ctrl.LoggerFrom(ctx).Info("The stream of changes broke; machines are asked for one by one until it is open again",
			"kind", f.kind, "error", err.Error())
	}
}

// cover notes whether an open stream tells of these machines, as far as they are still followed.
func (f *follower) cover(subjects []*followed, covered bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	count := 0
	for _, s := range subjects {
		s.covered = covered && s.Status != nil
	}
	for _, s := range f.subjects {
		if s.covered {
			count++
		}
	}
	coveredMachines.WithLabelValues(f.kind).Set(float64(count))
}

// apply takes one event in, and gives the object that it wakes, if any.
func (f *follower) apply(e told) (client.ObjectKey, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	object, ok := f.objects[e.name]
	if !ok {
		return client.ObjectKey{}, false
	}
	s := f.subjects[object]
	if e.status == nil {
		// The service tells no more of a machine that is gone, but each new stream says so once.
		news := s.Status != nil
		s.covered, s.Status = false, nil
		if news {
			f.news[object] = true
		}
		return object, news
	}
	if sameStatus(s.Status, e.status) {
		return client.ObjectKey{}, false
	}
	s.Status, f.news[object] = e.status, true
	return object, true
}

// sameStatus compares two states, but for the time at which they were read and the claim, which a stream does not look at.
func sameStatus(a, b *lxdprovisionerv1.MachineStatus) bool {
	a, b = proto.CloneOf(a), proto.CloneOf(b)
	if a != nil && b != nil {
		a.ObservedAt, b.ObservedAt = nil, nil
		a.Claimed, b.Claimed = nil, nil
	}
	return proto.Equal(a, b)
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
