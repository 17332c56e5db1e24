package provision

import (
	"slices"
	"sync"
	"time"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

// proofs remember the claims that were proved by allocate's own answer, and what MAAS answered to the change that
// followed, so that neither the deployment nor a caller who comes back for the answer need ask again. Forgetting one
// costs one request.
type proofs struct {
	clock func() time.Time
	// hold is for how long a proof is remembered; fresh for how long it stands in for reading the VM.
	hold, fresh time.Duration

	mu    sync.Mutex
	known map[string]proof
}

type proof struct {
	systemID string
	// owner is for whom the VM is marked and linked to its network too; nil before. machine is the VM as it was then: it
	// may be deployed as it is, or is being deployed.
	owner   *Owner
	machine inventory.Machine
	at      time.Time
}

func newProofs(clock func() time.Time, hold, fresh time.Duration) *proofs {
	return &proofs{clock: clock, hold: hold, fresh: fresh, known: map[string]proof{}}
}

// add remembers a proof.
func (p *proofs) add(vm, systemID string) { p.keep(vm, proof{systemID: systemID}) }

// has remembers a proof of a VM that is marked for the owner and linked to its network, as MAAS has just shown it.
func (p *proofs) has(m inventory.Machine, owner Owner) {
	p.keep(m.Hostname, proof{systemID: m.SystemID, owner: &owner, machine: m})
}

func (p *proofs) keep(vm string, what proof) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.clock()
	for name, old := range p.known {
		if now.Sub(old.at) >= p.hold {
			delete(p.known, name)
		}
	}
	what.at = now
	p.known[vm] = what
}

func (p *proofs) of(vm string) (proof, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	known, ok := p.known[vm]
	return known, ok && p.clock().Sub(known.at) < p.hold
}

// lately gives the VM that was prepared for the owner, or deployed, seconds ago, so that it need not be read. With an
// older proof somebody may have released it, and others may have taken it.
func (p *proofs) lately(vm string, owner Owner) (inventory.Machine, bool) {
	known, ok := p.of(vm)
	if !ok || known.owner == nil || !known.owner.same(owner) || p.clock().Sub(known.at) >= p.fresh {
		return inventory.Machine{}, false
	}
	return known.machine, true
}

func (p *proofs) forget(vm string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.known, vm)
}

// refusals remember errors of some kinds, or of all where none is named, that MAAS answered to compositions whose caller was gone: the
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
	if err != nil && (len(r.kinds) == 0 || slices.Contains(r.kinds, fault.KindOf(err))) {
		r.known[vm] = refusal{err: err, at: now}
	}
}

// of gives what is known of the sending of the attempt; nil where nothing is. What was noted before the
// attempt was sent is of an earlier sending: another replica may have sent it since.
func (r *refusals) of(a Attempt) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if known, ok := r.known[a.Name]; ok && !known.at.Before(a.SentAt) && r.clock().Sub(known.at) < r.hold {
		return known.err
	}
	return nil
}
