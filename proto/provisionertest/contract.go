package provisionertest

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/capmaas/capmaas/proto/errorinfo"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// Harness is a server under the contract, with a region of its own: at least two zones with LXD
// hosts whose over-commit ratios are 1, at least three bare-metal machines that are Ready, and
// nothing else in it. The hooks may be nil; what needs them is skipped.
type Harness struct {
	// Conn reaches the server.
	Conn grpc.ClientConnInterface
	// Now is the time in which the server lives.
	Now func() time.Time
	// Image can be deployed.
	Image *lxdprovisionerv1.Image
	// ResourcePool holds LXD hosts.
	ResourcePool string
	// Domain is a DNS domain of the region.
	Domain string
	// Patience is how long MAAS may take for one step of one machine; 30 s where 0.
	Patience time.Duration

	// BreakHost lets the LXD of the host be silent from then on.
	BreakHost func(t *testing.T, hostName string)
	// AddStranger makes a VM of the name on the host that is not ours.
	AddStranger func(t *testing.T, name, hostID string)
	// LoseNextAnswer lets the next composition make its VM, while its answer is lost.
	LoseNextAnswer func(t *testing.T)
	// LockMachine locks a machine as an operator does.
	LockMachine func(t *testing.T, systemID string, locked bool)
	// SwitchOff switches the machine off behind everybody's back.
	SwitchOff func(t *testing.T, systemID string)
	// FailMachine lets MAAS call the deployment of the machine failed.
	FailMachine func(t *testing.T, systemID string)
	// AddAllocation lets the agent name hold one more machine than the service knows of.
	AddAllocation func(t *testing.T, agentName string)
	// StopMAAS lets MAAS be silent from then on.
	StopMAAS func(t *testing.T)
}

// suite is one part of the contract in the making, with a harness of its own.
type suite struct {
	Harness

	t      *testing.T
	lxd    lxdprovisionerv1.LXDProvisionerClient
	metal  lxdprovisionerv1.BareMetalProvisionerClient
	region lxdprovisionerv1.RegionProvisionerClient
}

// RunContract checks the contract against servers that start makes, one for each part.
func RunContract(t *testing.T, start func(t *testing.T) Harness) {
	t.Helper()
	parts := []struct {
		name string
		run  func(*suite)
	}{
		{"ListHosts_tells_the_inventory", (*suite).listHosts},
		{"ListHosts_tells_it_in_pages", (*suite).listHostPages},
		{"SelectHost_chooses_repeatably_and_says_why", (*suite).selectHost},
		{"SelectHost_names_what_is_missing", (*suite).selectHostFaults},
		{"R3.1_DistributeAcrossZones_is_even_and_says_when_it_is_short", (*suite).distributeAcrossZones},
		{"X2_ComposeVM_makes_one_VM_however_often_it_is_called", (*suite).composeVM},
		{"X2.5_ComposeVM_with_sent_at_only_looks", (*suite).composeSentBefore},
		{"X2.5_ComposeVM_finds_the_VM_of_a_lost_answer", (*suite).composeLost},
		{"X3.2_ComposeVM_never_adopts_a_name_of_another", (*suite).composeTaken},
		{"X2.4_ComposeVM_says_when_nothing_was_made", (*suite).composeRefused},
		{"ComposeVM_refuses_what_cannot_be_made", (*suite).composeInvalid},
		{"X3_DeployVM_deploys_once", (*suite).deployVM},
		{"DeployVM_says_why_it_does_not", (*suite).deployVMFaults},
		{"DeployVM_deletes_a_VM_that_failed", (*suite).deployFailed},
		{"X4.5_GetVM_believes_absence_only_with_its_host", (*suite).getVM},
		{"ListVMs_lists_in_pages", (*suite).listVMs},
		{"WatchVMs_sends_all_then_synced_then_changes", (*suite).watchVMs},
		{"X4_DeleteVM_proves_that_nothing_is_left", (*suite).deleteVM},
		{"X4.2_DeleteVM_waits_for_the_unlock", (*suite).deleteLocked},
		{"X3.9_AllocateMachine_gives_one_machine_to_an_agent_name", (*suite).allocateMachine},
		{"X2.5_AllocateMachine_with_sent_at_only_looks", (*suite).allocateSentBefore},
		{"X3.9_AllocateMachine_releases_what_it_holds_too_much", (*suite).allocateSurplus},
		{"DeployMachine_deploys_once", (*suite).deployMachine},
		{"GetMachine_finds_by_agent_name", (*suite).getMachine},
		{"WatchMachines_sends_all_then_synced_then_changes", (*suite).watchMachines},
		{"ReleaseMachine_leaves_nothing_held", (*suite).releaseMachine},
		{"X8.1_EnsureEndpoint_keeps_exactly_the_addresses", (*suite).ensureEndpoint},
		{"GetEndpoint_and_DeleteEndpoint_of_what_is_not_there", (*suite).absentEndpoint},
		{"TakeOverMachine_takes_what_is_proved_and_nothing_else", (*suite).takeOver},
		{"X3.8_PowerOnMachine_switches_on_what_was_deployed_and_nothing_else", (*suite).powerOn},
		{"ListZones_ListResourcePools_ListSubnets_ListImages_GetRegion", (*suite).lists},
		{"every_call_is_validated", (*suite).validation},
		{"MAAS_that_is_silent_is_Unavailable_and_GetRegion_says_so", (*suite).silentMAAS},
	}
	for _, part := range parts {
		t.Run(part.name, func(t *testing.T) {
			t.Parallel()
			h := start(t)
			if h.Patience == 0 {
				h.Patience = 30 * time.Second
			}
			part.run(&suite{
				Harness: h, t: t, lxd: lxdprovisionerv1.NewLXDProvisionerClient(h.Conn),
				metal: lxdprovisionerv1.NewBareMetalProvisionerClient(h.Conn), region: lxdprovisionerv1.NewRegionProvisionerClient(h.Conn),
			})
		})
	}
}

// ok gives v and ends the test where there is an error.
func ok[T any](s *suite, v T, err error) T {
	s.t.Helper()
	if err != nil {
		s.t.Fatalf("unexpected error: %v", err)
	}
	return v
}

// checkf fails the test, and goes on, where the condition does not hold.
func (s *suite) checkf(holds bool, format string, args ...any) {
	s.t.Helper()
	if !holds {
		s.t.Errorf(format, args...)
	}
}

// fault demands an error of ours: the kind, its code, and one of the reasons.
func (s *suite) fault(err error, kind errorinfo.Kind, reasons ...lxdprovisionerv1.Reason) errorinfo.Info {
	s.t.Helper()
	if err == nil {
		s.t.Fatalf("want a fault of kind %s, got no error", kind)
	}
	info, ours := errorinfo.From(err)
	if !ours {
		s.t.Fatalf("the error bears no ErrorInfo of ours: %v", err)
	}
	s.checkf(info.Kind == kind, "want kind %s, got %s: %v", kind, info.Kind, err)
	s.sameCode(err, info.Kind)
	known := len(reasons) == 0
	for _, r := range reasons {
		known = known || info.Reason == r
	}
	s.checkf(known, "want one of the reasons %v, got %v: %v", reasons, info.Reason, err)
	switch kind {
	case errorinfo.Busy, errorinfo.NoRoom:
		s.checkf(info.RetryAfter > 0, "a fault of kind %s says when to come again: %v", kind, err)
	case errorinfo.Invalid:
		s.checkf(len(info.Fields) > 0, "a fault of kind Invalid names the field: %v", err)
	default:
	}
	return info
}

// until calls look until it says that it has seen what it waits for, or an error that is not Busy.
func (s *suite) until(what string, look func(ctx context.Context) (bool, error)) {
	s.t.Helper()
	const pace = 20 * time.Millisecond
	ctx, cancel := context.WithTimeout(s.t.Context(), s.Patience)
	defer cancel()
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for {
		seen, err := look(ctx)
		if seen {
			return
		}
		if info, _ := errorinfo.From(err); err != nil && info.Kind != errorinfo.Busy {
			s.t.Fatalf("wait until %s: %v", what, err)
		}
		select {
		case <-ctx.Done():
			s.t.Fatalf("waited %s in vain until %s; the last answer was %v", s.Patience, what, err)
		case <-tick.C:
		}
	}
}
