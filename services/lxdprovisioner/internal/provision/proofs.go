package provision

import (
	"slices"
	"sync"
	"time"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
)

// proofs remember the claims that were proved by allocate's own answer, so that the deployment that
// follows need not ask again. Forgetting one costs one request.
type proofs struct {
	clock func() time.Time
	hold  time.Duration

	mu    sync.Mutex
	known map[string]proof
}

type proof struct {
	systemID string
	// prepared says that the VM is marked and linked to its network too.
	prepared bool
	at       time.Time
}

func newProofs(clock func() time.Time, hold time.Duration) *proofs {
	return &proofs{clock: clock, hold: hold, known: map[string]proof{}}
}

func (p *proofs) add(vm, systemID string, prepared bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.clock()
	for name, old := range p.known {
		if now.Sub(old.at) >= p.hold {
			delete(p.known, name)
		}
	}
	p.known[vm] = proof{systemID: systemID, prepared: prepared, at: now}
}

func (p *proofs) of(vm string) (proof, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	known, ok := p.known[vm]
	return known, ok && p.clock().Sub(known.at) < p.hold
}

func (p *proofs) forget(vm string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.known, vm)
}

// refusals remember errors of some kinds that MAAS answered to compositions whose caller was gone: the
// call that comes back for the answer need not wait until the attempt is old.
type refusals struct {
	clock func() time.Time
	hold  time.Duration
	kinds []fault.Kind

	mu    sync.Mutex
	known map[string]refusal
}

type refusal struct {
	err error
	at  time.Time
}

func newRefusals(clock func() time.Time, hold time.Duration, kinds ...fault.Kind) *refusals {
	return &refusals{clock: clock, hold: hold, kinds: kinds, known: map[string]refusal{}}
}

// note keeps an error of the kinds; any other outcome is forgotten.
func (r *refusals) note(vm string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.clock()
	for name, old := range r.known {
		if now.Sub(old.at) >= r.hold {
			delete(r.known, name)
		}
	}
	delete(r.known, vm)
	if err != nil && slices.Contains(r.kinds, fault.KindOf(err)) {
		r.known[vm] = refusal{err: err, at: now}
	}
}

func (r *refusals) of(vm string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if known, ok := r.known[vm]; ok && r.clock().Sub(known.at) < r.hold {
		return known.err
	}
	return nil
}
