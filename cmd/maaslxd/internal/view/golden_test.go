package view_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	"github.com/capmaas/capmaas/api/records"
	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/cmd/maaslxd/internal/advice"
	"github.com/capmaas/capmaas/cmd/maaslxd/internal/cluster"
	"github.com/capmaas/capmaas/cmd/maaslxd/internal/diagnosis"
	"github.com/capmaas/capmaas/cmd/maaslxd/internal/output"
	"github.com/capmaas/capmaas/cmd/maaslxd/internal/relocation"
	"github.com/capmaas/capmaas/cmd/maaslxd/internal/view"
	"github.com/capmaas/capmaas/proto/errorinfo"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

// noon is the moment of every page.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestResults_look_as_their_golden_files(t *testing.T) {
	t.Parallel()
	results := map[string]output.Result{
		"hosts":          view.NewHostList(hosts(), &lxdprovisionerv1.SnapshotInfo{ReadAt: timestamppb.New(noon), Hosts: 3}),
		"no-hosts":       view.NewHostList(nil, nil),
		"vms":            view.NewVMList(vms()),
		"plan":           plan(),
		"plan-one":       planOfOne(),
		"plan-refused":   refused(t),
		"explain-up":     explanation(t, true),
		"explain-not-up": explanation(t, false),
		"orphans":        orphans(t),
		"drain":          drained(),
		"failure":        view.NewFailure(refusal(t)),
		"failure-other":  view.NewFailure(fmt.Errorf("list the hosts: %w", status.Error(codes.Unavailable, "connection refused"))),
		"version":        &view.Version{Client: "v1.2.3", Go: "go1.26.8", Platform: "linux/amd64", Service: "v1.2.3", MAAS: "3.5.4"},
		"doctor": &diagnosis.Report{Findings: []diagnosis.Finding{
			{Area: "Connection", Status: diagnosis.OK, Message: "the service answers at 10.0.0.1:9090"},
			{Area: "MAAS", Status: diagnosis.Warning, Message: `the key is of MAAS user "admin", which others may use too`, WhatToDo: "make a MAAS user for capmaas alone"},
			{Area: "Hosts", Status: diagnosis.Wrong, Message: "none of the 3 hosts is usable", WhatToDo: "look at the reason of each: maaslxd hosts"},
			{Area: "Kubernetes", Status: diagnosis.Skipped, Message: "no kubeconfig"},
		}},
	}
	styles := map[string]output.Printer{
		".txt":          {Format: output.Table, Style: output.Style{Now: noon}},
		".terminal.txt": {Format: output.Table, Style: output.Style{Now: noon, Colour: true, Unicode: true}},
		".json":         {Format: output.JSON},
		".yaml":         {Format: output.YAML},
	}
	for name, result := range results {
		for suffix, printer := range styles {
			t.Run(name+suffix, func(t *testing.T) {
				t.Parallel()
				var got bytes.Buffer
				printer.Out = &got
				require.NoError(t, printer.Print(result))
				golden(t, name+suffix, got.Bytes())
			})
		}
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *rewrite {
		require.NoError(t, os.MkdirAll("testdata", 0o750))
		require.NoError(t, os.WriteFile(path, got, 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err, "make it with -rewrite and read it")
	assert.Equal(t, string(want), string(got))
}

func TestOrphanList_chooses_only_orphans_and_by_cluster(t *testing.T) {
	t.Parallel()
	list := orphans(t)
	all, err := list.Choose(nil)
	require.NoError(t, err)
	assert.Equal(t, []view.Selection{{Namespace: "default", Name: "alpha", VMs: []string{"gone-0-aaaaa", "gone-1-aaaaa"}}}, all)
	one, err := list.Choose([]string{"gone-1-aaaaa"})
	require.NoError(t, err)
	assert.Equal(t, []view.Selection{{Namespace: "default", Name: "alpha", VMs: []string{"gone-1-aaaaa"}}}, one)
	_, err = list.Choose([]string{"strange-0-bbbbb"})
	require.ErrorContains(t, err, "strange-0-bbbbb is not removed: it is unmarked")
	_, err = list.Choose([]string{"gone-0-aaaaa", "nobody"})
	require.ErrorContains(t, err, "no VM without a MaasMachine: nobody")
}

func TestFailure_tells_an_interruption_from_an_error(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "boom", view.NewFailure(errors.New("boom")).Message)
	assert.NotEmpty(t, view.NewFailure(status.Error(codes.PermissionDenied, "no")).WhatToDo)
	assert.NotEmpty(t, view.NewFailure(status.Error(codes.DeadlineExceeded, "late")).WhatToDo)
	assert.NotEmpty(t, view.NewFailure(status.Error(codes.Unimplemented, "unknown method")).WhatToDo)
}

func capacity(cores, memoryMiB, diskGB int64) *lxdprovisionerv1.Capacity {
	return &lxdprovisionerv1.Capacity{Cores: cores, MemoryMib: memoryMiB, DiskGb: diskGB}
}

func hosts() []*lxdprovisionerv1.Host {
	return []*lxdprovisionerv1.Host{
		{
			Id: "vmhost/2", Name: "lxd-2", Zone: "az2", ResourcePool: "lxd", Total: capacity(32, 131072, 2000), Available: capacity(2, 8192, 1500),
			CpuOverCommitRatio: 1, MemoryOverCommitRatio: 1, LxdVersion: "5.21.3", Project: new("maas"),
		},
		{
			Id: "vmhost/1", Name: "lxd-1", Zone: "az1", ResourcePool: "lxd", Tags: []string{"fast"}, Total: capacity(32, 131072, 2000), Available: capacity(60, 40960, 500),
			CpuOverCommitRatio: 2, MemoryOverCommitRatio: 1, LxdVersion: "5.21.3", Project: new("maas"),
		},
		{
			Id: "vmhost/3", Name: "lxd-3", Zone: "az2", ResourcePool: "lxd", Total: capacity(32, 131072, 2000), Available: capacity(32, 131072, 2000),
			CpuOverCommitRatio: 1, MemoryOverCommitRatio: 1,
			Unusable: &lxdprovisionerv1.Rejection{
				HostId: "vmhost/3", HostName: "lxd-3", Zone: "az2", Reason: lxdprovisionerv1.RejectionReason_REJECTION_REASON_HOST_POWERED_OFF, Message: "its machine is powered off",
			},
		},
	}
}

func vm(name, machine, maasStatus string, power lxdprovisionerv1.PowerState) *lxdprovisionerv1.VM {
	one := &lxdprovisionerv1.VM{
		Name: name, SystemId: "abc123", HostId: "vmhost/1", HostName: "lxd-1", Zone: "az1",
		Resources: &lxdprovisionerv1.VMResources{Cores: 4, MemoryMib: 8192, Disks: []*lxdprovisionerv1.Disk{{SizeGb: 40}, {SizeGb: 20}}},
		Status: &lxdprovisionerv1.MachineStatus{
			MaasStatus: maasStatus, Power: power, Hostname: name, Fqdn: name + ".maas", Claimed: new(true), ObservedAt: timestamppb.New(noon.Add(-10 * time.Second)),
			Addresses: []*lxdprovisionerv1.Address{{Ip: "10.0.0.7"}},
		},
	}
	if machine != "" {
		one.Status.Owner = &lxdprovisionerv1.Owner{Namespace: "default", Cluster: "alpha", ClusterId: "id-1", Machine: machine}
	}
	return one
}

func vms() []*lxdprovisionerv1.VM {
	locked := vm("cp-1-bbbbb", "cp-1", "Deploying", lxdprovisionerv1.PowerState_POWER_STATE_ON)
	locked.Status.Locked = true
	return []*lxdprovisionerv1.VM{
		locked,
		vm("cp-0-aaaaa", "cp-0", "Deployed", lxdprovisionerv1.PowerState_POWER_STATE_ON),
		vm("cp-2-ccccc", "cp-2", "Failed deployment", lxdprovisionerv1.PowerState_POWER_STATE_OFF),
		vm("strange-0-bbbbb", "", "Ready", lxdprovisionerv1.PowerState_POWER_STATE_UNSPECIFIED),
	}
}

func plan() *view.Plan {
	p := &view.Plan{Wanted: 3, Size: output.Size(8, 32768, 60)}
	p.Distributed(&lxdprovisionerv1.DistributeAcrossZonesResponse{
		Summary: "3 VMs over 2 zones: 2 in zone az1, 1 in zone az2",
		Vms: []*lxdprovisionerv1.PlannedVM{
			{Index: 0, HostName: "lxd-1", Zone: "az1"}, {Index: 1, HostName: "lxd-2", Zone: "az2"}, {Index: 2, HostName: "lxd-1", Zone: "az1"},
		},
		Zones: []*lxdprovisionerv1.ZoneShare{{Zone: "az1", Planned: 2}, {Zone: "az2", Planned: 1, Explanation: "lxd-2 lacks memory"}},
		Rejections: []*lxdprovisionerv1.Rejection{
			{HostName: "lxd-3", Zone: "az2", Reason: lxdprovisionerv1.RejectionReason_REJECTION_REASON_HOST_POWERED_OFF, Message: "its machine is powered off"},
		},
	})
	return p
}

func planOfOne() *view.Plan {
	p := &view.Plan{Wanted: 1, Size: output.Size(4, 1536, 60)}
	p.Selected(&lxdprovisionerv1.SelectHostResponse{
		Summary: "lxd-1 in zone az1, best of 2 that fit",
		Chosen:  &lxdprovisionerv1.Candidate{HostName: "lxd-1", Zone: "az1"},
		Candidates: []*lxdprovisionerv1.Candidate{
			{HostName: "lxd-1", Zone: "az1", ResourcePool: "lxd", Score: 1, Terms: []*lxdprovisionerv1.ScoreTerm{{Name: "balance", Value: 0.9}}},
			{HostName: "lxd-2", Zone: "az2", ResourcePool: "lxd", Score: 0.5},
		},
	})
	return p
}

// refusal is an error of the service as a client gets it.
func refusal(t *testing.T) error {
	t.Helper()
	st, err := status.New(codes.ResourceExhausted, "0 of 1 hosts fit: 1 lacks cores").WithDetails(
		&errdetails.ErrorInfo{Domain: errorinfo.Domain, Reason: "INSUFFICIENT_RESOURCES", Metadata: map[string]string{errorinfo.KindKey: string(errorinfo.NoRoom)}},
		&lxdprovisionerv1.PlacementFailure{Summary: "0 of 1 hosts fit: 1 lacks cores", Rejections: []*lxdprovisionerv1.Rejection{
			{HostName: "lxd-1", Zone: "az1", Reason: lxdprovisionerv1.RejectionReason_REJECTION_REASON_INSUFFICIENT_CORES, Message: "needs 64 cores, has 60"},
		}})
	require.NoError(t, err)
	return fmt.Errorf("plan: %w", st.Err())
}

func refused(t *testing.T) *view.Plan {
	t.Helper()
	p := &view.Plan{Wanted: 2, Size: output.Size(64, 8192, 60), VMs: []view.Planned{}, Zones: []view.Share{}}
	info, ours := errorinfo.From(errors.Unwrap(refusal(t)))
	require.True(t, ours)
	p.Refused(info, advice.ForReason(info.Reason))
	return p
}

func explanation(t *testing.T, up bool) *view.Explanation {
	t.Helper()
	at := func(ago time.Duration) metav1.Time { return metav1.NewTime(noon.Add(-ago)) }
	sent := at(50 * time.Minute)
	m := &infrav1.MaasMachine{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "cp-0", CreationTimestamp: at(time.Hour)},
		Spec: infrav1.MaasMachineSpec{
			ProvisioningMode: infrav1.ModeLXD, MinCPU: new(int32(4)), MinMemory: new(int32(8192)), MinDiskSize: new(int32(60)), Image: "ubuntu/noble",
		},
		Status: infrav1.MaasMachineStatus{Ready: true, Conditions: []metav1.Condition{
			{Type: "Ready", Status: metav1.ConditionTrue, Reason: "Ready", LastTransitionTime: at(40 * time.Minute)},
			{Type: "Paused", Status: metav1.ConditionFalse, Reason: "NotPaused", LastTransitionTime: at(time.Hour)},
			{Type: infrav1.LXDHostSelectedCondition, Status: metav1.ConditionTrue, Reason: infrav1.LXDHostSelectedReason, LastTransitionTime: at(50 * time.Minute)},
			{Type: infrav1.MachineDeployedCondition, Status: metav1.ConditionTrue, Reason: infrav1.MachineDeployedReason, LastTransitionTime: at(40 * time.Minute)},
		}},
	}
	story := &cluster.Story{
		Machine: m,
		Owner: &clusterv1.Machine{
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "cp-0"}, Spec: clusterv1.MachineSpec{FailureDomain: "az1"}, Status: clusterv1.MachineStatus{Phase: "Running"},
		},
		Cluster: &clusterv1.Cluster{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "alpha"}},
		Attempts: []records.Attempt{
			{Number: 1, Name: "cp-0-11111", HostID: "vmhost/2", HostName: "lxd-2", SentAt: &sent, GivenUp: true, Settled: true},
			{Number: 2, Name: "cp-0-aaaaa", HostID: "vmhost/1", HostName: "lxd-1", SentAt: &sent, SystemID: "abc123"},
		},
		Events: []cluster.Event{{Type: "Warning", Reason: "VMCompositionRefused", Note: "lxd-2 refused: STORAGE_EXHAUSTED", Last: noon.Add(-50 * time.Minute), Count: 1}},
	}
	if up {
		e := view.NewExplanation(story)
		host := view.NewHost(hosts()[1])
		e.Host = &host
		one := vms()[1]
		e.SetStatus(one.GetName(), one.GetSystemId(), one.GetZone(), one.GetStatus())
		return e
	}
	m.Status.Ready = false
	m.Status.Conditions = []metav1.Condition{
		{
			Type: infrav1.LXDHostSelectedCondition, Status: metav1.ConditionFalse, Reason: "INSUFFICIENT_RESOURCES", LastTransitionTime: at(5 * time.Minute),
			Message: "0 of 12 hosts fit: 7 lack cores, 5 are in another zone",
		},
		{Type: infrav1.MachineDeployedCondition, Status: metav1.ConditionFalse, Reason: infrav1.MachineDeployStartedReason, LastTransitionTime: at(time.Hour)},
	}
	story.Attempts, story.Events = nil, nil
	story.MaasCluster = &infrav1.MaasCluster{Status: infrav1.MaasClusterStatus{Conditions: []metav1.Condition{
		{Type: infrav1.LoadBalancerReadyCondition, Status: metav1.ConditionFalse, Reason: infrav1.LoadBalancerFailedReason, Message: "no such domain", LastTransitionTime: at(time.Hour)},
		{Type: infrav1.ProvisionerAvailableCondition, Status: metav1.ConditionTrue, Reason: infrav1.ProvisionerAvailableReason, LastTransitionTime: at(time.Hour)},
	}}}
	e := view.NewExplanation(story)
	e.Trouble = view.NewFailure(status.Error(codes.Unavailable, "connection refused"))
	return e
}

func orphans(t *testing.T) *view.OrphanList {
	t.Helper()
	return &view.OrphanList{
		Orphans: []view.Orphan{
			{VM: view.NewVM(vm("gone-0-aaaaa", "gone-0", "Deployed", lxdprovisionerv1.PowerState_POWER_STATE_ON)), Kind: cluster.Orphan, MaasCluster: "default/alpha", WhatToDo: "maaslxd orphans --delete NAME"},
			{VM: view.NewVM(vm("gone-1-aaaaa", "gone-1", "Ready", lxdprovisionerv1.PowerState_POWER_STATE_OFF)), Kind: cluster.Orphan, MaasCluster: "default/alpha", Requested: true, WhatToDo: "maaslxd orphans --delete NAME"},
			{VM: view.NewVM(vms()[3]), Kind: cluster.Unmarked, WhatToDo: "delete it in MAAS if it is nobody's: it may be a stranger's"},
		},
		Pending:  []view.Pending{{MaasCluster: "default/alpha", Machine: "md-0-x", VMs: []string{"md-0-x-ccccc on lxd-9"}, Since: noon.Add(-2 * time.Hour)}},
		GivenUp:  []view.GivenUp{{MaasCluster: "default/alpha", Machine: "md-0-y", VMs: []string{"md-0-y-ddddd on lxd-9"}, Reason: "the rack is gone", At: noon.Add(-3 * time.Hour)}},
		Answered: []view.Answer{{MaasCluster: "default/alpha", VMs: []string{"gone-1-aaaaa"}, Outcome: "the manager was asked to delete them"}},
	}
}

func drained() *view.Drain {
	d := view.NewDrain(hosts()[1], true)
	request := &lxdprovisionerv1.SelectHostRequest{Placement: &lxdprovisionerv1.Placement{Zone: new("az1")}}
	d.Add(relocation.Place{
		Want: relocation.Want{VM: vms()[1], Request: &lxdprovisionerv1.SelectHostRequest{}}, Host: &lxdprovisionerv1.Candidate{HostName: "lxd-2", Zone: "az2"},
	}, "default/cp-0", "default/cp-0", true)
	d.Add(relocation.Place{
		Want: relocation.Want{VM: vms()[2], Request: request}, Why: "0 of 2 hosts fit: 2 are in another zone", Elsewhere: &lxdprovisionerv1.Candidate{HostName: "lxd-2", Zone: "az2"},
	}, "default/cp-2", "default/cp-2", true)
	d.Stay(vms()[3], "no MaasMachine here (unmarked): it is not made anew")
	return d
}
