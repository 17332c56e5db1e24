package provision

import (
	"context"
	"errors"
	"fmt"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

// PoweredOn is a machine that was to be switched on. Sent says whether MAAS was told to.
type PoweredOn struct {
	Machine inventory.Machine
	Owner   *Owner
	Sent    bool
}

// PowerOn switches on a machine of the owner that is Deployed and off (docs/protocol-coverage.md 3.8). MAAS
// would deploy its default image on one that is Allocated, and one that runs from memory would come back
// as another machine: both are refused.
func (r *MAASRegion) PowerOn(ctx context.Context, systemID string, owner Owner) (PoweredOn, error) {
	done, err := r.starting.do(ctx, systemID+" "+owner.maasMachine(), func(ctx context.Context) (PoweredOn, error) {
		return r.powerOn(ctx, systemID, owner)
	})
	if errors.Is(err, errRunsOn) {
		return PoweredOn{}, fault.New(fault.Busy, fault.ReasonNotReady, "%s is being switched on", systemID).WithRetryAfter(retrySoon)
	}
	return done, err
}

func (r *MAASRegion) powerOn(ctx context.Context, systemID string, owner Owner) (PoweredOn, error) {
	m, err := r.cfg.MAAS.Machine(ctx, systemID)
	if err != nil {
		return PoweredOn{}, fmt.Errorf("read %s to switch it on: %w", systemID, err)
	}
	if err := r.provedFor(ctx, m, owner); err != nil {
		return PoweredOn{}, err
	}
	switch {
	case m.Status != inventory.StatusDeployed:
		return PoweredOn{}, fault.New(fault.Busy, fault.ReasonNotReady, "%s is %s and not switched on", systemID, m.StatusName).WithRetryAfter(retrySoon)
	case m.Power != inventory.PowerOff:
		return PoweredOn{Machine: m, Owner: ownerOf(m)}, nil
	case m.InMemory:
		return PoweredOn{}, fault.New(fault.Unsupported, fault.ReasonNotSupported, "%s runs from memory: switched on it would be another machine", systemID)
	}
	sent, err := r.cfg.MAAS.PowerOn(ctx, systemID)
	if err != nil {
		if sent, err = r.afterFailedPowerOn(ctx, systemID, err); err != nil {
			return PoweredOn{}, fmt.Errorf("switch %s on: %w", systemID, err)
		}
	}
	r.cfg.Logger.InfoContext(ctx, "Switched machine on", "systemID", systemID, "hostname", m.Hostname, "host", m.HostName, "zone", m.Zone.Name,
		"maasMachine", owner.maasMachine())
	return PoweredOn{Machine: sent, Owner: ownerOf(sent), Sent: true}, nil
}

// provedFor proves that our user holds the machine for the owner: only who holds a machine can mark it, and
// releasing wipes the mark.
func (r *MAASRegion) provedFor(ctx context.Context, m inventory.Machine, owner Owner) error {
	mark := ownerOf(m)
	if mark == nil || !mark.same(owner) {
		return fault.New(fault.Conflict, fault.ReasonNameTaken, "%s (%s) is not marked for %s; it is %s", m.SystemID, m.Hostname, owner.maasMachine(), m.StatusName)
	}
	who, err := r.cfg.MAAS.WhoAmI(ctx)
	if err != nil {
		return fmt.Errorf("ask MAAS who we are: %w", err)
	}
	if m.Owner != who.Name {
		return fault.New(fault.Conflict, fault.ReasonNameTaken, "the owner of %s (%s) is %q, and we are %q", m.SystemID, m.Hostname, m.Owner, who.Name)
	}
	return nil
}

// afterFailedPowerOn reads a machine after an unknown outcome: a 500 comes also where it goes on. It passes
// the cause on where the machine is not on.
func (r *MAASRegion) afterFailedPowerOn(ctx context.Context, systemID string, cause error) (inventory.Machine, error) {
	switch fault.KindOf(cause) {
	case fault.Unavailable, fault.Internal:
	default:
		return inventory.Machine{}, cause
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookAfter)
	defer cancel()
	m, err := r.cfg.MAAS.Machine(ctx, systemID)
	if err == nil && m.Status == inventory.StatusDeployed && m.Power == inventory.PowerOn {
		return m, nil
	}
	return inventory.Machine{}, cause
}
