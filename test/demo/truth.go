package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/capmaas/capmaas/test/playground"
	"github.com/capmaas/capmaas/test/process"
)

// untilReleased is how long MAAS may take to power off and release what it was told to.
const untilReleased = time.Minute

// proveEmpty demands that nothing of the cluster is left in the truth.
func (st *stack) proveEmpty(ctx context.Context, s *screen) error {
	if err := process.Await(ctx, "MAAS and LXD to be empty", untilReleased, st.Alive, st.empty); err != nil {
		return err
	}
	s.sayf("nothing is left: 0 instances in LXD, 0 machines held in MAAS, 0 DNS records")
	return nil
}

// empty asks the simulator for the truth: what is in LXD, in MAAS and in DNS, whatever MAAS's API says.
func (st *stack) empty(ctx context.Context) error {
	var instances []struct{ Host, Name string }
	if err := playground.Get(ctx, st.Simulator+"/_sim/lxd", &instances); err != nil {
		return fmt.Errorf("ask the simulator for LXD's truth: %w", err)
	}
	var machines []struct {
		Hostname string `json:"hostname"`
		Owner    string `json:"owner"`
		Status   string `json:"status"`
		Instance string `json:"instance"`
		VMHost   bool   `json:"vm_host"`
	}
	if err := playground.Get(ctx, st.Simulator+"/_sim/machines", &machines); err != nil {
		return fmt.Errorf("ask the simulator for MAAS's machines: %w", err)
	}
	var records []struct {
		FQDN string `json:"fqdn"`
	}
	if err := playground.Get(ctx, st.Simulator+"/_sim/dns", &records); err != nil {
		return fmt.Errorf("ask the simulator for the DNS records: %w", err)
	}
	var left []string
	for _, i := range instances {
		left = append(left, fmt.Sprintf("LXD instance %s on %s", i.Name, i.Host))
	}
	for _, m := range machines {
		if !m.VMHost && (m.Owner != "" || m.Instance != "") {
			left = append(left, fmt.Sprintf("machine %s (%s, owner %q)", m.Hostname, m.Status, m.Owner))
		}
	}
	for _, r := range records {
		left = append(left, "DNS record "+r.FQDN)
	}
	if len(left) > 0 {
		return errors.New("left behind: " + strings.Join(left, "; "))
	}
	return nil
}
