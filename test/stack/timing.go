package stack

import (
	"time"

	serviceapp "github.com/capmaas/capmaas/services/lxdprovisioner/app"
)

// Timing are the service's own durations for a MAAS whose time runs faster by speed. What bounds a call stays as it is, and so does what gathers
// callers: this machine does not run faster.
func Timing(speed float64) serviceapp.Timing {
	t := serviceapp.DefaultTiming()
	for _, d := range []*time.Duration{
		&t.InventoryMaxAge, &t.MachinesMaxAge, &t.LedgerHold, &t.CheckGather, &t.YieldLook, &t.ProofHold, &t.ProofFresh, &t.AliveFresh,
		&t.SettleGap, &t.RefreshGap, &t.WatchInterval, &t.IdleInterval, &t.WatchFullRead,
	} {
		*d = time.Duration(float64(*d) / speed)
	}
	return t
}
