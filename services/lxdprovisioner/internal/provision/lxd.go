package provision

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

// LXD are the use cases of LXD VMs. It is safe for concurrent use; make one a process, since calls
// of one name are joined within it.
type LXD struct {
	cfg    Config
	hosts  *hostCache
	ledger *ledger
	names  *collector
	// patient answers the look-ups of deletions, which are in no hurry, so that more of them share a list.
	patient *collector
	nets    *networks
	proofs  *proofs
	watcher *watcher

	composing *flights[VM]
	deploying *flights[VM]
	deleting  *flights[[]Absence]
	briefings *briefings
	refusals  *refusals
	// unsent are the errors of compositions that MAAS did not take.
	unsent    *refusals
	refreshes *refreshes
	listing   *listing
	user      *userName
	// alive shares the question whether a host answers; a turn gives the system id of the VM asked about.
	alive *turns[string]
	// checks share the reading of a host by which its new VMs are checked: it begins when all that are being composed there wait
	// for it, or some time (Timing.CheckGather) after the first VM that waits for it was made.
	checks *turns[inventory.Host]
	// proving shares the reading of a host on which deletions are about to be proved: it begins when no deletion runs there
	// any more, or some time (Timing.RefreshGap) after the first that waits for it.
	proving *turns[inventory.Host]
	// answered are the hosts that were proved alive seconds ago.
	answered *lately
	// silent are the hosts that did not answer when they were asked last.
	silent silence
	// owed are the VMs whose composition or deployment outlived its caller, who comes back for the answer.
	owed *lately
	// missed are the deployed VMs that MAAS was seen to lack.
	missed *lately

	// choosing makes "read the ledger, choose, write it down" one step.
	choosing sync.Mutex
	// gate keeps compositions and refreshes of one host apart.
	gate *hostGate
}

// missedHold is for how long it is remembered since when MAAS lacks a deployed VM. Forgetting it costs the caller another look.
const missedHold = 24 * time.Hour

// patience is by how much longer than others the look-ups of deletions are collected.
const patience = 20

// NewLXD makes the use cases of LXD VMs.
func NewLXD(cfg Config) *LXD {
	cfg = cfg.withDefaults()
	user := newUserName(cfg)
	l := &LXD{
		cfg:       cfg,
		ledger:    newLedger(cfg.Clock, cfg.Timing.LedgerHold),
		nets:      newNetworks(cfg),
		proofs:    newProofs(cfg.Clock, cfg.Timing.ProofHold, cfg.Timing.ProofFresh),
		watcher:   newWatcher(cfg, user),
		composing: newFlights[VM](cfg),
		deploying: newFlights[VM](cfg),
		deleting:  newFlights[[]Absence](cfg),
		briefings: newBriefings(2 * (cfg.Timing.DetachedLimit + cfg.Timing.QueueLimit)),
		refusals:  newRefusals(cfg.Clock, cfg.Timing.DetachedLimit, fault.Refused, fault.Invalid),
		unsent:    newRefusals(cfg.Clock, cfg.Timing.DetachedLimit),
		listing:   newListing(cfg),
		user:      user,
		gate:      newHostGate(),
	}
	l.hosts = newHostCache(cfg, l.ledger.hostRead)
	l.silent = newSilence(cfg.Clock)
	l.refreshes = newRefreshes(cfg, l.hosts, l.gate, l.silent)
	l.names = newCollector(cfg, cfg.Timing.LookupWindow)
	l.patient = newCollector(cfg, patience*cfg.Timing.LookupWindow)
	// MAAS takes a minute to say that a host which is cut off does not answer: not the time of a read.
	l.alive = newTurns[string](cfg.Timing.LookupWindow, cfg.Timing.DetachedLimit, cfg.Logger)
	l.checks = newGatheringTurns[inventory.Host](func(ctx context.Context, host string) {
		l.gate.composed(ctx, inventory.HostID(host), cfg.Timing.CheckGather)
	}, cfg.Timing.ReadLimit, cfg.Logger)
	l.proving = newGatheringTurns[inventory.Host](func(ctx context.Context, host string) {
		l.gate.quiet(ctx, inventory.HostID(host), cfg.Timing.RefreshGap)
		_ = pause(ctx, cfg.Timing.LookupWindow)
	}, cfg.Timing.ReadLimit, cfg.Logger)
	l.owed = newLately(cfg.Clock, cfg.Timing.DetachedLimit+cfg.Timing.QueueLimit)
	l.missed = newLately(cfg.Clock, missedHold)
	l.answered = newLately(cfg.Clock, cfg.Timing.AliveFresh)
	return l
}

// Drain waits for calls that run on without their caller, at most Timing.DrainLimit.
func (l *LXD) Drain(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Timing.DrainLimit)
	defer cancel()
	return errors.Join(l.composing.drain(ctx), l.deploying.drain(ctx), l.deleting.drain(ctx), l.refreshes.drain(ctx))
}
