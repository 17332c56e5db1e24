package provisionertest_test

import (
	"errors"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/capmaas/capmaas/proto/errorinfo"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
	"github.com/capmaas/capmaas/proto/provisionertest"
)

var start = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

func still() time.Time { return start }

func composeRequest(fake *provisionertest.Fake, name string) *lxdprovisionerv1.ComposeVMRequest {
	return &lxdprovisionerv1.ComposeVMRequest{
		Attempt:   &lxdprovisionerv1.Attempt{Number: 1, Name: name, HostId: fake.HostID("lxd-01"), HostName: "lxd-01"},
		Owner:     &lxdprovisionerv1.Owner{ClusterId: "c", Namespace: "ns", Cluster: "prod", Machine: "m", MachineUid: "u"},
		Resources: &lxdprovisionerv1.VMResources{Cores: 1, MemoryMib: 2048, Disks: []*lxdprovisionerv1.Disk{{SizeGb: 10}}},
	}
}

func wantReason(t *testing.T, err error, want lxdprovisionerv1.Reason) {
	t.Helper()
	if info, ours := errorinfo.From(err); !ours || info.Reason != want {
		t.Fatalf("want reason %s, got %v", want, err)
	}
}

func TestFake_fails_where_a_test_says_so(t *testing.T) {
	t.Parallel()
	fake := provisionertest.New(provisionertest.Config{Clock: still})
	lxd := lxdprovisionerv1.NewLXDProvisionerClient(fake.Dial(t))
	refused := provisionertest.Fault(errorinfo.Refused, lxdprovisionerv1.Reason_REASON_LXD_HOST_UNAVAILABLE, "lxd-01 is down")

	fake.FailNext("ComposeVM", refused)
	_, err := lxd.ComposeVM(t.Context(), composeRequest(fake, "a"))
	wantReason(t, err, lxdprovisionerv1.Reason_REASON_LXD_HOST_UNAVAILABLE)
	if len(fake.VMs()) != 0 {
		t.Fatal("a fault before the effect has an effect")
	}
	fake.FailNextAfterEffect("ComposeVM", errors.New("the connection broke"))
	if _, err = lxd.ComposeVM(t.Context(), composeRequest(fake, "a")); err == nil || len(fake.VMs()) != 1 {
		t.Fatalf("want the VM and the error, got %v and %v", fake.VMs(), err)
	}
	fake.FailEvery("", refused)
	for range 2 {
		_, err = lxd.ListHosts(t.Context(), &lxdprovisionerv1.ListHostsRequest{})
		wantReason(t, err, lxdprovisionerv1.Reason_REASON_LXD_HOST_UNAVAILABLE)
	}
	fake.Heal()
	if _, err = lxd.ListHosts(t.Context(), &lxdprovisionerv1.ListHostsRequest{}); err != nil {
		t.Fatal(err)
	}
	if got := provisionertest.Requests[*lxdprovisionerv1.ComposeVMRequest](fake); len(got) != 2 || got[1].GetAttempt().GetName() != "a" {
		t.Fatalf("the requests are %v", got)
	}
}

func TestFake_moves_machines_with_Advance(t *testing.T) {
	t.Parallel()
	fake := provisionertest.New(provisionertest.Config{Clock: still, CommissionFor: time.Minute, DeployFor: 10 * time.Minute})
	lxd := lxdprovisionerv1.NewLXDProvisionerClient(fake.Dial(t))
	request := composeRequest(fake, "a")
	step := func(want lxdprovisionerv1.MachineState) {
		t.Helper()
		answer, err := lxd.ComposeVM(t.Context(), request)
		if err != nil || answer.GetVm().GetStatus().GetState() != want {
			t.Fatalf("want %s, got %v, %v", want, answer.GetVm().GetStatus().GetState(), err)
		}
	}
	step(lxdprovisionerv1.MachineState_MACHINE_STATE_COMMISSIONING)
	fake.Advance(59 * time.Second)
	step(lxdprovisionerv1.MachineState_MACHINE_STATE_COMMISSIONING)
	fake.Advance(time.Second)
	step(lxdprovisionerv1.MachineState_MACHINE_STATE_ALLOCATED)
	_, err := lxd.DeployVM(t.Context(), &lxdprovisionerv1.DeployVMRequest{
		Attempt: request.GetAttempt(), Owner: request.GetOwner(), Image: &lxdprovisionerv1.Image{Os: "ubuntu", Series: "jammy"}, UserData: []byte("data"),
	})
	if err != nil {
		t.Fatal(err)
	}
	step(lxdprovisionerv1.MachineState_MACHINE_STATE_DEPLOYING)
	fake.Advance(10 * time.Minute)
	step(lxdprovisionerv1.MachineState_MACHINE_STATE_DEPLOYED)
	if string(fake.UserData("a")) != "data" {
		t.Fatalf("the user data is %q", fake.UserData("a"))
	}
}

func TestFake_X1_5_believes_absence_only_after_the_settling_time(t *testing.T) {
	t.Parallel()
	fake := provisionertest.New(provisionertest.Config{Clock: still})
	lxd := lxdprovisionerv1.NewLXDProvisionerClient(fake.Dial(t))
	request := composeRequest(fake, "a")
	fake.DelayNextCompose(200 * time.Second)
	_, err := lxd.ComposeVM(t.Context(), request)
	wantReason(t, err, lxdprovisionerv1.Reason_REASON_COMPOSITION_IN_PROGRESS)
	attempt := request.GetAttempt()
	attempt.SentAt = timestamppb.New(start)
	remove := func() error {
		_, err := lxd.DeleteVM(t.Context(), &lxdprovisionerv1.DeleteVMRequest{
			Attempts: []*lxdprovisionerv1.Attempt{attempt}, Owner: request.GetOwner(),
			Hosts: []*lxdprovisionerv1.HostExpectation{{HostId: attempt.GetHostId()}},
		})
		return err
	}
	wantReason(t, remove(), lxdprovisionerv1.Reason_REASON_DELETION_IN_PROGRESS)
	fake.Advance(200 * time.Second)
	if err := remove(); err != nil || len(fake.VMs()) != 0 {
		t.Fatalf("the VM that appeared late is deleted: %v, %v", fake.VMs(), err)
	}
	wantReason(t, remove(), lxdprovisionerv1.Reason_REASON_DELETION_IN_PROGRESS)
	fake.Advance(100 * time.Second)
	if err := remove(); err != nil {
		t.Fatalf("the attempt is old enough to be settled: %v", err)
	}
	fake.SetHostOnline("lxd-01", false)
	wantReason(t, remove(), lxdprovisionerv1.Reason_REASON_HOST_UNREACHABLE)
}

func TestFake_X8_1_notes_addresses_that_no_machine_holds(t *testing.T) {
	t.Parallel()
	fake := provisionertest.New(provisionertest.Config{})
	region := lxdprovisionerv1.NewRegionProvisionerClient(fake.Dial(t))
	_, err := region.EnsureEndpoint(t.Context(), &lxdprovisionerv1.EnsureEndpointRequest{
		Ref: &lxdprovisionerv1.EndpointRef{Name: "prod", Domain: "maas"}, Addresses: []string{"10.10.9.9"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := fake.Leftovers(); len(got) != 1 || got[0] != "10.10.9.9" {
		t.Fatalf("the leftovers are %v", got)
	}
	if fake.Record("prod.maas") == nil || fake.Record("other.maas") != nil {
		t.Fatal("the records are not those that were written")
	}
}
