package provision_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/placement"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/provision"
	"github.com/capmaas/capmaas/services/maassim"
)

func TestSelectHost_notes_its_choice(t *testing.T) {
	t.Parallel()
	w := start(t, 2, 0)
	req := selectRequest("cp-0-a1b2c")
	first, err := w.lxd.SelectHost(w.ctx(), req)
	require.NoError(t, err)
	again, err := w.lxd.SelectHost(w.ctx(), req)
	require.NoError(t, err)
	assert.Equal(t, first.Chosen.HostID, again.Chosen.HostID, "X6.1 the choice is kept")
	host := w.host(first.Chosen.HostName)
	assert.Equal(t, host.Host.Available().Cores-4, host.Available.Cores, "X6.1 what was given out counts as used")
	assert.Equal(t, host.StoragePools[0].AvailableBytes-60*inventory.BytesPerGB, host.PoolsAvailable["default"])

	dry := selectRequest("cp-1-a1b2c")
	dry.DryRun = true
	_, err = w.lxd.SelectHost(w.ctx(), dry)
	require.NoError(t, err)
	other, err := w.lxd.SelectHost(w.ctx(), selectRequest("cp-2-a1b2c"))
	require.NoError(t, err)
	assert.NotEqual(t, first.Chosen.HostID, other.Chosen.HostID)

	w.clock.advance(181 * time.Second)
	host = w.host(first.Chosen.HostName)
	assert.Equal(t, host.Host.Available().Cores, host.Available.Cores, "X6.1 after 180 s without a compose the choice ends")
}

func TestSelectHost_keeps_its_choice_while_the_host_still_fits(t *testing.T) {
	t.Parallel()
	w := start(t, 2, 0)
	first, err := w.lxd.SelectHost(w.ctx(), selectRequest("cp-0-a1b2c"))
	require.NoError(t, err)
	big := selectRequest("big-a1b2c")
	big.Size.Cores = 20
	big.Constraints.AllowedHosts = []string{first.Chosen.HostName}
	_, err = w.lxd.SelectHost(w.ctx(), big)
	require.NoError(t, err)
	again, err := w.lxd.SelectHost(w.ctx(), selectRequest("cp-0-a1b2c"))
	require.NoError(t, err)
	assert.Equal(t, first.Chosen.HostID, again.Chosen.HostID, "X6.1 although the other host is emptier now")
}

func TestLedger_ends_with_the_first_read_after_compose(t *testing.T) {
	t.Parallel()
	w := start(t, 1, 0)
	selection, err := w.lxd.SelectHost(w.ctx(), selectRequest("cp-0-a1b2c"))
	require.NoError(t, err)
	_, err = w.lxd.ComposeVM(w.ctx(), w.composeRequest("cp-0", selection.Chosen.HostName))
	require.NoError(t, err)
	host := w.host("lxd-1")
	assert.Equal(t, int64(4), host.Used.Cores)
	assert.Equal(t, host.Host.Available(), host.Available, "X6.1 the VM is not counted twice")
}

func TestInventory_is_shared_for_seconds(t *testing.T) {
	t.Parallel()
	w := start(t, 6, 0)
	for range 5 {
		w.host("lxd-1")
	}
	requests := w.sim.Requests()
	assert.Equal(t, 1, requests["vm-hosts.list"], "%v", requests)
	assert.Equal(t, 1, requests["machines.list"], "the hosts' own machines are read in one call")
	assert.Equal(t, 6, requests["vm-hosts.parameters"], "%v", requests)
	w.clock.advance(6 * time.Second)
	w.host("lxd-1")
	requests = w.sim.Requests()
	assert.Equal(t, 2, requests["vm-hosts.list"])
	assert.Equal(t, 1, requests["machines.list"])
	assert.Equal(t, 6, requests["vm-hosts.parameters"], "P2 the project is read once a host")
}

func TestListHosts_tells_what_MAAS_knows(t *testing.T) {
	t.Parallel()
	w := start(t, 3, 0)
	require.NoError(t, w.sim.SetHostOffline("lxd-2", true))
	list, err := w.lxd.ListHosts(w.ctx(), provision.HostFilter{Zone: "az2"})
	require.NoError(t, err)
	require.Len(t, list.Hosts, 1)
	require.NotNil(t, list.Hosts[0].Unusable)
	assert.Equal(t, placement.HostPoweredOff, list.Hosts[0].Unusable.Reason)
	host := w.host("lxd-1")
	assert.Equal(t, []string{"br0", "br1"}, host.Bridges)
	assert.NotEmpty(t, host.Project)
	assert.Nil(t, host.Unusable)
}

func TestListHosts_goes_on_after_any_host(t *testing.T) {
	t.Parallel()
	w := start(t, 7, 0)
	for _, tc := range []struct {
		name   string
		filter provision.HostFilter
		want   []string
		more   bool
	}{
		{"from_the_beginning", provision.HostFilter{Limit: 3}, []string{"lxd-1", "lxd-2", "lxd-3"}, true},
		{"after_the_third", provision.HostFilter{AfterName: "lxd-3", AfterID: w.host("lxd-3").ID, Limit: 4}, []string{"lxd-4", "lxd-5", "lxd-6", "lxd-7"}, false},
		{"after_one_that_is_gone", provision.HostFilter{AfterName: "lxd-55", AfterID: "vmhost/99"}, []string{"lxd-6", "lxd-7"}, false},
		{"after_another_of_its_name", provision.HostFilter{AfterName: "lxd-7", AfterID: "vmhost/0"}, []string{"lxd-7"}, false},
		{"within_a_zone", provision.HostFilter{Zone: "az1", AfterName: "lxd-1", AfterID: "vmhost/99", Limit: 1}, []string{"lxd-4"}, true},
		{"after_the_last", provision.HostFilter{AfterName: "lxd-8", Limit: 1}, nil, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			list, err := w.lxd.ListHosts(w.ctx(), tc.filter)
			require.NoError(t, err)
			var names []string
			for _, h := range list.Hosts {
				names = append(names, h.Name)
			}
			assert.Equal(t, tc.want, names)
			assert.Equal(t, tc.more, list.More)
			assert.Len(t, list.Snapshot.Hosts, 7)
		})
	}
}

func TestSelectHost_says_why_nothing_fits(t *testing.T) {
	t.Parallel()
	w := start(t, 3, 0, func(c *maassim.Config) {
		c.Zones = append(c.Zones, maassim.ZoneConfig{Name: "empty"})
		c.Pools = append(c.Pools, maassim.PoolConfig{Name: "empty"})
	})
	big := selectRequest("cp-0-a1b2c")
	big.Size.Cores = 33
	room := selectRequest("cp-0-a1b2c")
	room.Size.Disks = []inventory.Disk{{SizeGB: 1900}}
	_, err := w.lxd.ComposeVM(w.ctx(), w.composeRequest("one", "lxd-1"))
	require.NoError(t, err)
	for _, host := range []string{"lxd-1", "lxd-2", "lxd-3"} {
		full := w.composeRequest("full-"+host, host)
		full.Size.Disks[0].SizeGB = 500
		_, err := w.lxd.ComposeVM(w.ctx(), full)
		require.NoError(t, err)
	}
	for _, tc := range []struct {
		name   string
		req    provision.SelectRequest
		change func(*placement.Constraints)
		kind   fault.Kind
		reason fault.Reason
	}{
		{"R4.3_too_large_for_any_host", big, nil, fault.Invalid, fault.ReasonBadResources},
		{"R4.3_no_room", room, nil, fault.NoRoom, fault.ReasonInsufficientResources},
		{"an_unknown_zone", selectRequest("x"), func(c *placement.Constraints) { c.Zone = "nowhere" }, fault.NoCandidate, fault.ReasonZoneNotFound},
		{"a_zone_without_hosts", selectRequest("x"), func(c *placement.Constraints) { c.Zone = "empty" }, fault.NoCandidate, fault.ReasonNoHostInZone},
		{"an_unknown_pool", selectRequest("x"), func(c *placement.Constraints) { c.Pools = []string{"nowhere"} }, fault.NoCandidate, fault.ReasonPoolNotFound},
		{"R2.4_a_pool_without_hosts", selectRequest("x"), func(c *placement.Constraints) { c.Pools = []string{"empty"} }, fault.NoCandidate, fault.ReasonNoHostInPool},
		{"P2_an_unknown_project", selectRequest("x"), func(c *placement.Constraints) { c.Project = "nowhere" }, fault.NoCandidate, fault.ReasonProjectNotFound},
		{"P2_another_profile", selectRequest("x"), func(c *placement.Constraints) { c.Profile = "fast" }, fault.NoCandidate, fault.ReasonProfileNotFound},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.change != nil {
				tc.change(&tc.req.Constraints)
			}
			_, err := w.lxd.SelectHost(w.ctx(), tc.req)
			requireFault(t, err, tc.kind, tc.reason)
			assert.True(t, w.logged("Refused host selection", string(tc.reason)), "R7.1")
		})
	}
	_, err = w.lxd.SelectHost(w.ctx(), room)
	var f *fault.Error
	require.ErrorAs(t, err, &f)
	noFit, ok := f.Detail().(*placement.NoFit)
	require.True(t, ok)
	assert.Len(t, noFit.Rejections, 3, "R7.1 every host and why it is out")
}

// TestSelectHost_keeps_to_hosts_on_the_subnet has three hosts of which only lxd-2 is in the VLAN of the
// subnet data: MAAS would refuse the composition on the others.
func TestSelectHost_keeps_to_hosts_on_the_subnet(t *testing.T) {
	t.Parallel()
	w := start(t, 3, 0, func(c *maassim.Config) {
		for _, i := range []int{0, 2} {
			c.Hosts[i].Bridges = c.Hosts[i].Bridges[:1]
		}
	})
	for _, tc := range []struct {
		name    string
		network provision.Network
		fitting int
	}{
		{"R4.1_a_NIC_in_the_subnet", provision.Network{Interfaces: []provision.NIC{{Bridge: "br0"}, {Subnet: "data"}}}, 1},
		{"S1_a_static_IP_in_the_subnet", static("10.30.0.12"), 1},
		{"X2.2_a_named_bridge_wins_over_the_subnet", provision.Network{Interfaces: []provision.NIC{{Bridge: "br0", Subnet: "data"}}}, 3},
		{"R6.2_a_preferred_subnet_is_no_must", provision.Network{PreferredSubnets: []netip.Prefix{netip.MustParsePrefix("10.30.0.0/24")}}, 3},
	} {
		t.Run(tc.name, func(t *testing.T) {
			req := selectRequest("cp-0-a1b2c")
			req.Network, req.DryRun = tc.network, true
			s, err := w.lxd.SelectHost(w.ctx(), req)
			require.NoError(t, err)
			assert.Equal(t, tc.fitting, s.Fitting())
			plan, err := w.lxd.Distribute(w.ctx(), provision.PlanRequest{
				PlanRequest: placement.PlanRequest{Request: req.Request, Count: 6}, Network: tc.network,
			})
			require.NoError(t, err)
			assert.Len(t, plan.Zones, tc.fitting)
			for _, r := range s.Rejections() {
				assert.Equal(t, placement.NetworkMissing, r.Reason)
				compose := w.composeRequest("cp-0", r.HostName)
				compose.Network = tc.network
				_, err := w.lxd.ComposeVM(w.ctx(), compose)
				requireFault(t, err, fault.Refused, fault.ReasonNetworkRefused)
			}
		})
	}
	req := selectRequest("cp-0-a1b2c")
	req.Network = provision.Network{Interfaces: []provision.NIC{{Subnet: "nowhere"}}}
	_, err := w.lxd.SelectHost(w.ctx(), req)
	requireFault(t, err, fault.Invalid, fault.ReasonSubnetNotFound)
}

func TestDistribute_spreads_over_zones(t *testing.T) {
	t.Parallel()
	w := start(t, 6, 0)
	plan, err := w.lxd.Distribute(w.ctx(), provision.PlanRequest{PlanRequest: placement.PlanRequest{Request: selectRequest("plan").Request, Count: 7}})
	require.NoError(t, err)
	assert.True(t, plan.Even, "R3.4")
	assert.Len(t, plan.VMs, 7)
	host := w.host("lxd-1")
	assert.Equal(t, host.Host.Available(), host.Available, "nothing is noted")
}

func TestPlacementFault_has_a_kind_and_a_reason_for_every_class(t *testing.T) {
	t.Parallel()
	for _, class := range placement.Classes() {
		f := provision.PlacementFault(&placement.NoFit{Class: class, Summary: "s"})
		assert.NotEqual(t, fault.Internal, f.Kind(), class)
		assert.Equal(t, "s", f.Error())
	}
	f := provision.PlacementFault(&placement.Invalid{Field: "resources.cores", Message: "m"})
	assert.Equal(t, fault.Invalid, f.Kind())
	assert.Equal(t, "resources.cores", f.Field())
}
