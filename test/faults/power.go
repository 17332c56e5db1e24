package faults

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/capmaas/capmaas/services/maassim"
)

const (
	// opPowerOff is what a person asks of MAAS and the service never does.
	opPowerOff = "power_off"
	// opPowerState is how MAAS asks a host or a BMC whether a machine is on.
	opPowerState = "query_power_state"
	// powerGap bounds how long everything is left on.
	powerGap = 800 * time.Millisecond
	// powerCutChance is the probability that all VMs lose their power, and not one machine its own.
	powerCutChance = 0.03
)

// switchOff switches machines off that are deployed, until ctx ends: a person does it to one at MAAS, a power cut to every VM.
func (w *world) switchOff(ctx context.Context) {
	for ctx.Err() == nil {
		if w.roll(powerCutChance) {
			w.cutPower(ctx)
		} else {
			w.switchOneOff()
		}
		pause(ctx, w.upTo(powerGap))
	}
}

// switchOneOff has MAAS switch a deployed machine of ours off, a VM or a physical one.
func (w *world) switchOneOff() {
	on := slices.DeleteFunc(w.sim.Machines(), func(row maassim.Machine) bool {
		return row.VMHost || row.Owner != "admin" || row.Status != "deployed" || row.PowerState != "on"
	})
	if len(on) == 0 {
		return
	}
	row := on[w.rng2(len(on))]
	w.storyf("somebody switches %s (%s) off", row.Hostname, row.SystemID)
	if status, _ := w.alice.askAs(w.sim.APIKey(), http.MethodPost, "machines/"+row.SystemID+"/?op="+opPowerOff, nil); status == http.StatusOK {
		w.campaign.offs.Add(1)
	}
}

// cutPower stops all VMs behind MAAS's back. MAAS sees it when it next asks their hosts, as it does of its own accord every few
// minutes, and here within a second of its reaching them.
func (w *world) cutPower(ctx context.Context) {
	w.storyf("all VMs lose their power")
	w.sim.StopInstances()
	ctx = context.WithoutCancel(ctx)
	w.revival.Go(func() {
		pause(ctx, w.upTo(time.Second))
		if err := w.until(ctx, w.monitorPower); err != nil {
			w.campaign.fail(fmt.Errorf("MAAS does not see that VMs are off: %w", err))
		}
	})
}

// monitorPower has MAAS ask for the power of the VMs that it shows as on and that are off. It says whether there are none left.
func (w *world) monitorPower() (seen bool, err error) {
	off := map[string]bool{}
	for _, i := range w.sim.LXD() {
		off[i.Name] = !i.Running
	}
	seen = true
	for _, row := range w.sim.Machines() {
		if row.PowerState == "on" && off[row.Instance] {
			seen = false
			w.alice.askAs(w.sim.APIKey(), http.MethodGet, "machines/"+row.SystemID+"/?op="+opPowerState, nil)
		}
	}
	return seen, nil
}
