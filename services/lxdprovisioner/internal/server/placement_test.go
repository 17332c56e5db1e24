package server_test

import (
	"fmt"
	"log/slog"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/capmaas/capmaas/proto/errorinfo"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
	"github.com/capmaas/capmaas/proto/provisionertest"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/backend/maasregion"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/backend/maasvmhost"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/maas"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/placement"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/provision"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/server"
	"github.com/capmaas/capmaas/services/maassim"
)

// site is a simulated MAAS with hosts of every kind, asked through gRPC.
type site struct {
	lxdprovisionerv1.LXDProvisionerClient

	sim *maassim.Sim
}

// newSite has three usable hosts of the pool cp in three zones, one in each of two other pools, and
// five that can take no VM; those that are named are left out.
func newSite(t *testing.T, without ...string) *site {
	t.Helper()
	cfg := maassim.DefaultConfig(3, 3, 0)
	cfg.Pools = []maassim.PoolConfig{{Name: "cp"}, {Name: "batch"}, {Name: "lab"}, {Name: "empty"}}
	shape := cfg.Hosts[0]
	for i := range cfg.Hosts {
		cfg.Hosts[i].Pool = "cp"
	}
	for _, h := range []maassim.HostConfig{
		{Name: "batch-1", Pool: "batch", Zone: "az1"},
		{Name: "builtin-1", Zone: "az2"},
		{Name: "virsh-1", Pool: "cp", Zone: "az1", Type: "virsh"},
		{Name: "fresh-1", Pool: "lab", Zone: "az1", NotInventoried: true},
		{Name: "new-1", Pool: "lab", Zone: "az2", LXDVersion: "6.7"},
		{Name: "drained-1", Pool: "cp", Zone: "az3", Tags: []string{placement.TagMaintenance}},
		{Name: "strange-1", Pool: "lab", Zone: "az3", NotComposable: true},
	} {
		h.Cores, h.MemoryMiB, h.StoragePools, h.Bridges = shape.Cores, shape.MemoryMiB, shape.StoragePools, shape.Bridges
		if !slices.Contains(without, h.Name) {
			cfg.Hosts = append(cfg.Hosts, h)
		}
	}
	sim, err := maassim.New(cfg)
	require.NoError(t, err)
	web := httptest.NewServer(sim)
	t.Cleanup(func() {
		sim.Close()
		web.Close()
	})
	client, err := maas.New(maas.Config{URL: web.URL + "/MAAS", Credentials: maas.StaticKey(sim.APIKey()), Clock: time.Now})
	require.NoError(t, err)
	t.Cleanup(client.Close)
	log := slog.New(slog.DiscardHandler)
	lxd := provision.NewLXD(provision.Config{
		Backend: maasvmhost.New(client, time.Now, log), MAAS: maasregion.New(client, time.Now), Clock: time.Now, Logger: log,
		Timing: provision.DefaultTiming(),
	})
	s, d := grpc.NewServer(), newDesk()
	server.New(server.Config{Hosts: lxd, VMs: d, BareMetal: d, Region: d, Version: "v1.2.3"}).Register(s)
	return &site{LXDProvisionerClient: lxdprovisionerv1.NewLXDProvisionerClient(provisionertest.Serve(t, s)), sim: sim}
}

func vmOf(cores int32) *lxdprovisionerv1.VMResources {
	return &lxdprovisionerv1.VMResources{Cores: cores, MemoryMib: 8192, Disks: []*lxdprovisionerv1.Disk{{SizeGb: 60}}}
}

func selectVM(name string, where *lxdprovisionerv1.Placement) *lxdprovisionerv1.SelectHostRequest {
	return &lxdprovisionerv1.SelectHostRequest{VmName: name, Resources: vmOf(4), Placement: where}
}

func candidateNames(answer *lxdprovisionerv1.SelectHostResponse) []string {
	var names []string
	for _, c := range answer.GetCandidates() {
		names = append(names, c.GetHostName())
	}
	return names
}

func reasons(rejections []*lxdprovisionerv1.Rejection) map[string]lxdprovisionerv1.RejectionReason {
	byHost := map[string]lxdprovisionerv1.RejectionReason{}
	for _, r := range rejections {
		byHost[r.GetHostName()] = r.GetReason()
	}
	return byHost
}

// refusal reads what a refused placement says, and holds it to the code and the reason.
func refusal(t *testing.T, err error, code codes.Code, reason lxdprovisionerv1.Reason) *lxdprovisionerv1.PlacementFailure {
	t.Helper()
	require.Equal(t, code, status.Code(err), "%v", err)
	info, ours := errorinfo.From(err)
	require.True(t, ours)
	require.Equal(t, reason, info.Reason)
	if info.Placement != nil {
		assert.LessOrEqual(t, len([]rune(info.Placement.GetSummary())), 200)
	}
	return info.Placement
}

func TestSelectHost_over_gRPC_keeps_to_the_pool(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	t.Run("R2.2_only_usable_LXD_hosts_of_the_pool", func(t *testing.T) {
		answer, err := s.SelectHost(t.Context(), selectVM("a", &lxdprovisionerv1.Placement{ResourcePools: []string{"cp"}}))
		require.NoError(t, err)
		assert.ElementsMatch(t, []string{"lxd-1", "lxd-2", "lxd-3"}, candidateNames(answer))
		assert.Equal(t, map[string]lxdprovisionerv1.RejectionReason{
			"batch-1":   lxdprovisionerv1.RejectionReason_REJECTION_REASON_OTHER_POOL,
			"builtin-1": lxdprovisionerv1.RejectionReason_REJECTION_REASON_OTHER_POOL,
			"virsh-1":   lxdprovisionerv1.RejectionReason_REJECTION_REASON_NOT_LXD,
			"fresh-1":   lxdprovisionerv1.RejectionReason_REJECTION_REASON_OTHER_POOL,
			"new-1":     lxdprovisionerv1.RejectionReason_REJECTION_REASON_OTHER_POOL,
			"drained-1": lxdprovisionerv1.RejectionReason_REJECTION_REASON_HOST_MAINTENANCE,
			"strange-1": lxdprovisionerv1.RejectionReason_REJECTION_REASON_OTHER_POOL,
		}, reasons(answer.GetRejections()))
		assert.Equal(t, "cp", answer.GetChosen().GetResourcePool())
		assert.Len(t, answer.GetChosen().GetTerms(), 7)
		assert.Contains(t, answer.GetSummary(), "best of 3 that fit, of 10 hosts")
	})
	t.Run("R2.3_no_pool_is_every_usable_host_the_built_in_pool_too", func(t *testing.T) {
		answer, err := s.SelectHost(t.Context(), selectVM("b", nil))
		require.NoError(t, err)
		assert.ElementsMatch(t, []string{"lxd-1", "lxd-2", "lxd-3", "batch-1", "builtin-1"}, candidateNames(answer))
		answer, err = s.SelectHost(t.Context(), selectVM("c", &lxdprovisionerv1.Placement{ResourcePools: []string{"default"}}))
		require.NoError(t, err)
		assert.Equal(t, []string{"builtin-1"}, candidateNames(answer))
	})
	t.Run("R2.4_a_pool_without_a_usable_host_says_why_of_each", func(t *testing.T) {
		_, err := s.SelectHost(t.Context(), selectVM("d", &lxdprovisionerv1.Placement{ResourcePools: []string{"lab"}}))
		failure := refusal(t, err, codes.FailedPrecondition, lxdprovisionerv1.Reason_REASON_NO_HOST_IN_POOL)
		why := reasons(failure.GetRejections())
		assert.Equal(t, lxdprovisionerv1.RejectionReason_REJECTION_REASON_HOST_NOT_INVENTORIED, why["fresh-1"])
		assert.Equal(t, lxdprovisionerv1.RejectionReason_REJECTION_REASON_LXD_TOO_NEW_FOR_MAAS, why["new-1"])
		assert.Equal(t, lxdprovisionerv1.RejectionReason_REJECTION_REASON_NOT_COMPOSABLE, why["strange-1"])
		for _, r := range failure.GetRejections() {
			if r.GetHostName() == "fresh-1" {
				assert.Contains(t, r.GetMessage(), "vm-host refresh", "the operator is told how to refresh")
			}
		}
		assert.Zero(t, s.sim.Requests()["vm-hosts.refresh"], "and the service never does")
	})
	t.Run("R2.4_a_pool_that_MAAS_does_not_have_and_one_without_hosts", func(t *testing.T) {
		_, err := s.SelectHost(t.Context(), selectVM("e", &lxdprovisionerv1.Placement{ResourcePools: []string{"nowhere"}}))
		refusal(t, err, codes.FailedPrecondition, lxdprovisionerv1.Reason_REASON_POOL_NOT_FOUND)
		_, err = s.SelectHost(t.Context(), selectVM("e", &lxdprovisionerv1.Placement{ResourcePools: []string{"empty"}}))
		refusal(t, err, codes.FailedPrecondition, lxdprovisionerv1.Reason_REASON_NO_HOST_IN_POOL)
	})
}

func TestSelectHost_over_gRPC_spreads_a_control_plane(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	group := &lxdprovisionerv1.Group{Key: "prod/kcp", AntiAffinity: lxdprovisionerv1.AntiAffinity_ANTI_AFFINITY_REQUIRED}
	zones := map[string]bool{}
	for i := range 3 {
		req := selectVM(fmt.Sprintf("cp-%d", i), &lxdprovisionerv1.Placement{ResourcePools: []string{"cp"}})
		req.Group = group
		answer, err := s.SelectHost(t.Context(), req)
		require.NoError(t, err)
		zones[answer.GetChosen().GetZone()] = true
		// The last is left to the ledger: the request names no peer for it.
		if i == 0 {
			group.Peers = append(group.Peers, &lxdprovisionerv1.Peer{Name: req.GetVmName(), HostId: answer.GetChosen().GetHostId()})
		}
	}
	assert.Len(t, zones, 3, "R3.2")
	req := selectVM("cp-3", &lxdprovisionerv1.Placement{ResourcePools: []string{"cp"}})
	req.Group = group
	_, err := s.SelectHost(t.Context(), req)
	failure := refusal(t, err, codes.FailedPrecondition, lxdprovisionerv1.Reason_REASON_NO_HOST_MATCHES)
	assert.Equal(t, lxdprovisionerv1.RejectionReason_REJECTION_REASON_ANTI_AFFINITY, reasons(failure.GetRejections())["lxd-1"], "R3.2 required fails closed")

	group.AntiAffinity = lxdprovisionerv1.AntiAffinity_ANTI_AFFINITY_PREFERRED
	req.Placement.Zone = new("az2")
	answer, err := s.SelectHost(t.Context(), req)
	require.NoError(t, err)
	assert.Equal(t, "lxd-2", answer.GetChosen().GetHostName(), "R3.1 the failure domain is a must, preferred gives way")
}

func TestSelectHost_over_gRPC_names_the_shortage(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	cp := &lxdprovisionerv1.Placement{ResourcePools: []string{"cp"}}
	t.Run("R4.1_what_is_given_out_counts_and_R4.3_the_error_says_so", func(t *testing.T) {
		for i := range 3 {
			req := selectVM(fmt.Sprintf("big-%d", i), cp)
			req.Resources = vmOf(30)
			_, err := s.SelectHost(t.Context(), req)
			require.NoError(t, err)
		}
		_, err := s.SelectHost(t.Context(), selectVM("one-more", cp))
		failure := refusal(t, err, codes.ResourceExhausted, lxdprovisionerv1.Reason_REASON_INSUFFICIENT_RESOURCES)
		assert.Contains(t, failure.GetSummary(), "0 of 10 hosts fit 4 cores, 8 GiB, 60 GB: 3 lack cores, 5 are in another pool")
		for _, r := range failure.GetRejections() {
			if r.GetReason() == lxdprovisionerv1.RejectionReason_REJECTION_REASON_INSUFFICIENT_CORES {
				assert.Equal(t, "needs 4 cores, has 2 (30 promised to other VMs)", r.GetMessage())
			}
		}
		assert.True(t, hasRetryInfo(err), "a client is told when to ask again")
	})
	t.Run("R4.3_larger_than_any_host_is_said_only_once_all_are_inventoried", func(t *testing.T) {
		req := selectVM("huge", nil)
		req.Resources = vmOf(33)
		_, err := s.SelectHost(t.Context(), req)
		refusal(t, err, codes.ResourceExhausted, lxdprovisionerv1.Reason_REASON_INSUFFICIENT_RESOURCES)
		_, err = newSite(t, "fresh-1").SelectHost(t.Context(), req)
		refusal(t, err, codes.InvalidArgument, lxdprovisionerv1.Reason_REASON_BAD_RESOURCES)
	})
	t.Run("R4.4_a_host_that_refused_is_left_out", func(t *testing.T) {
		first, err := s.SelectHost(t.Context(), selectVM("cp-0", nil))
		require.NoError(t, err)
		answer, err := s.SelectHost(t.Context(), selectVM("cp-0-again", &lxdprovisionerv1.Placement{ExcludedHosts: []string{first.GetChosen().GetHostId()}}))
		require.NoError(t, err)
		assert.NotEqual(t, first.GetChosen().GetHostId(), answer.GetChosen().GetHostId())
		assert.Equal(t, lxdprovisionerv1.RejectionReason_REJECTION_REASON_EXCLUDED, reasons(answer.GetRejections())[first.GetChosen().GetHostName()])
	})
}

func hasRetryInfo(err error) bool {
	for _, detail := range status.Convert(err).Details() {
		if _, ok := detail.(*errdetails.RetryInfo); ok {
			return true
		}
	}
	return false
}

func TestDistributeAcrossZones_over_gRPC(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	plan := func(count int32, change func(*lxdprovisionerv1.DistributeAcrossZonesRequest)) (*lxdprovisionerv1.DistributeAcrossZonesResponse, error) {
		req := &lxdprovisionerv1.DistributeAcrossZonesRequest{Count: count, Resources: vmOf(4), Placement: &lxdprovisionerv1.Placement{ResourcePools: []string{"cp"}}}
		if change != nil {
			change(req)
		}
		return s.DistributeAcrossZones(t.Context(), req)
	}
	t.Run("R3.4_as_evenly_as_possible", func(t *testing.T) {
		answer, err := plan(5, nil)
		require.NoError(t, err)
		assert.True(t, answer.GetEven())
		assert.Len(t, answer.GetVms(), 5)
		assert.Len(t, answer.GetZones(), 3)
		for _, z := range answer.GetZones() {
			assert.InDelta(t, 5.0/3, z.GetPlanned(), 1)
		}
		assert.Len(t, answer.GetRejections(), 7)
	})
	t.Run("R3.4_peers_are_counted_and_an_uneven_plan_explained", func(t *testing.T) {
		answer, err := plan(2, func(r *lxdprovisionerv1.DistributeAcrossZonesRequest) {
			hosts, err := s.ListHosts(t.Context(), &lxdprovisionerv1.ListHostsRequest{Zone: new("az1"), ResourcePool: new("cp")})
			require.NoError(t, err)
			r.Group = &lxdprovisionerv1.Group{Key: "prod"}
			for i := range 4 {
				r.Group.Peers = append(r.Group.Peers, &lxdprovisionerv1.Peer{Name: fmt.Sprintf("cp-%d", i), HostId: hosts.GetHosts()[0].GetId()})
			}
		})
		require.NoError(t, err)
		assert.False(t, answer.GetEven())
		assert.Equal(t, int32(4), answer.GetZones()[0].GetExisting())
		assert.Equal(t, "zone az1 had 4 of the group before", answer.GetZones()[1].GetExplanation())
	})
	t.Run("P3_all_or_as_many_as_fit_is_for_the_caller_to_say", func(t *testing.T) {
		_, err := plan(25, nil)
		failure := refusal(t, err, codes.ResourceExhausted, lxdprovisionerv1.Reason_REASON_INSUFFICIENT_RESOURCES)
		assert.Contains(t, failure.GetSummary(), "room for 24 of 25 VMs")
		answer, err := plan(25, func(r *lxdprovisionerv1.DistributeAcrossZonesRequest) { r.AsManyAsFit = true })
		require.NoError(t, err)
		assert.Len(t, answer.GetVms(), 24)
		assert.Contains(t, answer.GetSummary(), "room for 24 of 25 VMs, then 3 lack cores")
	})
	t.Run("P3_a_plan_is_not_noted", func(t *testing.T) {
		hosts, err := s.ListHosts(t.Context(), &lxdprovisionerv1.ListHostsRequest{ResourcePool: new("cp")})
		require.NoError(t, err)
		for _, h := range hosts.GetHosts() {
			assert.Equal(t, h.GetTotal().GetCores(), h.GetAvailable().GetCores(), h.GetName())
		}
	})
}

func TestListHosts_over_gRPC(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	all, err := s.ListHosts(t.Context(), &lxdprovisionerv1.ListHostsRequest{})
	require.NoError(t, err)
	require.Len(t, all.GetHosts(), 10)
	unusable := map[string]lxdprovisionerv1.RejectionReason{}
	for _, h := range all.GetHosts() {
		if h.GetUnusable() != nil {
			unusable[h.GetName()] = h.GetUnusable().GetReason()
		}
	}
	assert.Equal(t, map[string]lxdprovisionerv1.RejectionReason{
		"virsh-1":   lxdprovisionerv1.RejectionReason_REJECTION_REASON_NOT_LXD,
		"fresh-1":   lxdprovisionerv1.RejectionReason_REJECTION_REASON_HOST_NOT_INVENTORIED,
		"new-1":     lxdprovisionerv1.RejectionReason_REJECTION_REASON_LXD_TOO_NEW_FOR_MAAS,
		"drained-1": lxdprovisionerv1.RejectionReason_REJECTION_REASON_HOST_MAINTENANCE,
		"strange-1": lxdprovisionerv1.RejectionReason_REJECTION_REASON_NOT_COMPOSABLE,
	}, unusable, "R2.2")

	_, err = s.SelectHost(t.Context(), selectVM("cp-0", &lxdprovisionerv1.Placement{Zone: new("az2"), ResourcePools: []string{"cp"}}))
	require.NoError(t, err)
	some, err := s.ListHosts(t.Context(), &lxdprovisionerv1.ListHostsRequest{Zone: new("az2"), ResourcePool: new("cp")})
	require.NoError(t, err)
	require.Len(t, some.GetHosts(), 1, "P3 by zone and pool")
	h := some.GetHosts()[0]
	assert.Equal(t, "lxd-2", h.GetName())
	assert.Equal(t, h.GetTotal().GetCores()-4, h.GetAvailable().GetCores(), "X6.1 what is given out is taken off")
	assert.Equal(t, h.GetStoragePools()[0].GetTotalGb()-60, h.GetStoragePools()[0].GetAvailableGb())
	assert.Zero(t, h.GetUsed().GetCores(), "MAAS knows nothing of it yet")
}

// TestSelectHost_over_gRPC_answers_what_a_client_takes has as many hosts as would break a client's
// limit of 4 MiB if all were listed.
func TestSelectHost_over_gRPC_answers_what_a_client_takes(t *testing.T) {
	t.Parallel()
	d := newDesk()
	snap := inventory.Snapshot{}
	for i := range 10000 {
		h := d.selection.Snapshot.Hosts[i%2]
		h.ID, h.Name = inventory.HostID(fmt.Sprintf("vmhost/%d", i+1)), fmt.Sprintf("hypervisor-with-a-long-name-%05d", i+1)
		snap.Hosts = append(snap.Hosts, h)
	}
	decision, err := placement.Place(placement.Request{
		VM: "cp-0", Size: inventory.VMSize{Cores: 2, MemoryMiB: 4096, Disks: []inventory.Disk{{SizeGB: 20}}},
	}, snap)
	require.NoError(t, err)
	d.selection = provision.Selection{Decision: decision, Snapshot: snap}
	answer, err := lxdprovisionerv1.NewLXDProvisionerClient(dial(t, d)).SelectHost(t.Context(), &lxdprovisionerv1.SelectHostRequest{VmName: "cp-0"})
	require.NoError(t, err)
	assert.Len(t, answer.GetCandidates(), 1000)
	assert.Len(t, answer.GetRejections(), 1000)
	assert.True(t, proto.Equal(answer.GetChosen(), answer.GetCandidates()[0]))
	assert.Contains(t, answer.GetSummary(), "best of 5000 that fit, of 10000 hosts: 5000 lack")
}
