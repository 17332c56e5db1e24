package faults

import (
	"context"
	"strings"
	"time"
)

const (
	// serviceGap and managerGap are how long a process runs at least, so that there is something between two deaths.
	serviceGap = 300 * time.Millisecond
	managerGap = 1500 * time.Millisecond
	// killChance is the probability of a death at a boundary at which somebody died before, divided by how often.
	killChance = 0.01
	// longestPause is how long a process may be away.
	longestPause = 800 * time.Millisecond
	// answerTime is how long after its answer a caller dies at the latest.
	answerTime = 3 * time.Millisecond
)

// process is what can die and come back.
type process interface {
	start() error
	kill() bool
	age() (age time.Duration, ok bool)
}

// die cuts a process off and starts another in its place after a while.
func (w *world) die(p process, why string) bool {
	if !p.kill() {
		return false
	}
	w.campaign.kills.Add(1)
	w.mu.Lock()
	w.deaths++
	w.mu.Unlock()
	w.storyf("KILL %s", why)
	w.revive(p)
	return true
}

// revive starts a process again after a while; one that cannot be started ends the campaign.
func (w *world) revive(p process) {
	w.revival.Go(func() {
		pause(context.Background(), w.upTo(longestPause))
		if w.campaign.over() {
			return
		}
		if err := p.start(); err != nil {
			w.campaign.fail(err)
		}
	})
}

// now tells the time: a campaign runs in real time, so that what is killed dies at real moments.
var now = time.Now //nolint:forbidigo // see above

// pause waits.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// mortal says whether a process has run for long enough.
func mortal(p process, gap time.Duration) bool {
	age, up := p.age()
	return up && age >= gap
}

// crossMAAS decides at a boundary between a replica and MAAS.
func (w *world) crossMAAS(r *replica, gate *maasGate, operation string, m moment) bool {
	if operation == "" {
		return false
	}
	w.campaign.boundaries.learnRequest(operation)
	if strings.HasPrefix(operation, "dnsresources.") {
		w.mu.Lock()
		w.recordsAsked = now()
		w.mu.Unlock()
	}
	r.mu.Lock()
	current := r.maas == gate
	r.mu.Unlock()
	if !current || w.is(peaceful) || !mortal(r, serviceGap) {
		return false
	}
	here, dies := w.campaign.boundaries.choose(maasLayer, operation, m, []victim{service}, w.chanceOfDeath())
	return dies && w.die(r, here.String())
}

// crossRPC decides at a boundary between a manager, or an operator, and the service.
func (w *world) crossRPC(g *rpcGate, method, caller string, m moment) bool {
	var mayDie []victim
	var calling *seat
	for _, s := range w.seats {
		if s.calledFrom(caller) {
			calling = s
			w.campaign.boundaries.learnCall(method)
		}
	}
	if w.is(peaceful) {
		return false
	}
	if calling != nil && mortal(calling, managerGap) {
		mayDie = append(mayDie, manager)
	}
	var called *replica
	for _, r := range w.replicas {
		if r.gate == g && mortal(r, serviceGap) {
			called = r
			mayDie = append(mayDie, service)
		}
	}
	here, dies := w.campaign.boundaries.choose(rpcLayer, method, m, mayDie, w.chanceOfDeath())
	if !dies {
		return false
	}
	var p process = called
	if here.victim == manager {
		p = calling
	}
	if m == afterAnswer {
		time.AfterFunc(w.upTo(answerTime), func() { w.die(p, here.String()) })
		return true
	}
	return w.die(p, here.String())
}

// fate decides what happens to a call of which nobody dies.
func (w *world) fate(ctx context.Context, method string) fate {
	if !w.is(disturbed) || !w.roll(0.03) {
		return fate{}
	}
	switch {
	case w.roll(0.4):
		pause(ctx, w.upTo(300*time.Millisecond))
		return fate{}
	case w.roll(0.5):
		w.storyf("the answer to %s is lost", method)
		return fate{lost: true}
	default:
		w.storyf("%s arrives twice", method)
		return fate{doubled: true}
	}
}

// unsettle cuts the way to the API server now and then, until ctx ends.
func (w *world) unsettle(ctx context.Context) {
	for ctx.Err() == nil {
		pause(ctx, time.Second+w.upTo(4*time.Second))
		for _, s := range w.seats {
			if ctx.Err() != nil || !w.roll(0.5) {
				continue
			}
			s.mu.Lock()
			api, up := s.api, s.up
			s.mu.Unlock()
			if !up {
				continue
			}
			w.storyf("the API server is cut off")
			w.campaign.cuts.Add(1)
			api.cut()
			pause(ctx, w.upTo(1500*time.Millisecond))
			s.mu.Lock()
			if s.up && s.api == api {
				api.restore()
			}
			s.mu.Unlock()
		}
	}
}
