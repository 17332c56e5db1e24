package provision_test

import (
	"net/http"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/backend/maasregion"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/backend/maasvmhost"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/provision"
	"github.com/capmaas/capmaas/services/maassim"
)

var endpoint = provision.EndpointRef{Name: "prod", Domain: "cluster.example"}

// deployed makes a deployed VM and gives its address.
func (w *world) deployed(machine, host string) (provision.ComposeRequest, netip.Addr) {
	w.t.Helper()
	req := w.composed(machine, host)
	vm := w.deploy(req)
	require.NotEmpty(w.t, vm.Addresses)
	return req, vm.Addresses[0]
}

// deploy deploys a VM and reads it: MAAS gives AUTO links their addresses after it has answered.
func (w *world) deploy(req provision.ComposeRequest) provision.VM {
	w.t.Helper()
	_, err := w.lxd.DeployVM(w.ctx(), deployRequest(req))
	require.NoError(w.t, err)
	vm, err := w.lxd.GetVM(w.ctx(), provision.GetRequest{Attempt: req.Attempt})
	require.NoError(w.t, err)
	return vm
}

func TestEnsureEndpoint(t *testing.T) {
	t.Parallel()
	t.Run("X8.1_writes_only_what_differs_and_always_with_the_TTL", func(t *testing.T) {
		t.Parallel()
		w := start(t, 3, 0)
		_, a := w.deployed("cp-0", "lxd-1")
		_, b := w.deployed("cp-1", "lxd-2")
		got, changed, err := w.region.EnsureEndpoint(w.ctx(), endpoint, []netip.Addr{b, a}, nil)
		require.NoError(t, err)
		assert.True(t, changed)
		assert.Len(t, got.Addresses, 2)
		assert.Equal(t, 10, *got.TTL)
		w.sim.ResetRequests()
		again, changed, err := w.region.EnsureEndpoint(w.ctx(), endpoint, []netip.Addr{a, b}, nil)
		require.NoError(t, err)
		assert.False(t, changed)
		assert.Equal(t, got, again)
		assert.Equal(t, 1, total(w.sim.Requests()), "%v", w.sim.Requests())
		ttl := 30
		_, changed, err = w.region.EnsureEndpoint(w.ctx(), endpoint, []netip.Addr{a, b}, &ttl)
		require.NoError(t, err)
		assert.True(t, changed)
		assert.Empty(t, w.sim.Reservations())
	})
	t.Run("X8.1_a_record_that_vanished_with_its_last_machine_is_made_anew", func(t *testing.T) {
		t.Parallel()
		w, req, _, b := recordOfTwo(t)
		_, err := w.lxd.DeleteVM(w.ctx(), deleteRequest(req.Owner, req.Attempt))
		require.NoError(t, err)
		require.Empty(t, w.sim.DNSRecords())
		got, changed, err := w.region.EnsureEndpoint(w.ctx(), endpoint, []netip.Addr{b}, nil)
		require.NoError(t, err)
		assert.True(t, changed)
		assert.Equal(t, []netip.Addr{b}, got.Addresses)
	})
	t.Run("X8.1_a_record_that_vanishes_between_read_and_write_is_made_anew", func(t *testing.T) {
		t.Parallel()
		w := start(t, 3, 0)
		_, a := w.deployed("cp-0", "lxd-1")
		_, b := w.deployed("cp-1", "lxd-2")
		_, _, err := w.region.EnsureEndpoint(w.ctx(), endpoint, []netip.Addr{a}, nil)
		require.NoError(t, err)
		region := provision.NewMAASRegion(provision.Config{Backend: w.cfg.Backend, MAAS: &vanishing{MAAS: w.cfg.MAAS}, Clock: w.clock.now})
		got, _, err := region.EnsureEndpoint(w.ctx(), endpoint, []netip.Addr{b}, nil)
		require.NoError(t, err)
		assert.Equal(t, []netip.Addr{b}, got.Addresses)
		assert.Len(t, w.sim.DNSRecords(), 1)
	})
	t.Run("X8.1_leftover_reservations_are_released", func(t *testing.T) {
		t.Parallel()
		w := start(t, 3, 0)
		stale := netip.MustParseAddr("10.10.7.7")
		_, _, err := w.region.EnsureEndpoint(w.ctx(), endpoint, []netip.Addr{stale}, nil)
		require.NoError(t, err)
		require.NotEmpty(t, w.sim.Reservations())
		_, _, err = w.region.EnsureEndpoint(w.ctx(), endpoint, nil, nil)
		require.NoError(t, err)
		assert.Empty(t, w.sim.Reservations())
	})
	t.Run("X8.1_a_leftover_that_could_not_be_released_is_released_by_the_repeat", func(t *testing.T) {
		t.Parallel()
		stale := netip.MustParseAddr("10.10.7.7")
		for name, remove := range map[string]func(*world) error{
			"replaced": func(w *world) error {
				_, _, err := w.region.EnsureEndpoint(w.ctx(), endpoint, nil, nil)
				return err
			},
			"deleted": func(w *world) error { return w.region.DeleteEndpoint(w.ctx(), endpoint) },
		} {
			w := start(t, 1, 0)
			_, _, err := w.region.EnsureEndpoint(w.ctx(), endpoint, []netip.Addr{stale}, nil)
			require.NoError(t, err, name)
			w.fault(maassim.Fault{Operation: "ipaddresses.release", Status: http.StatusInternalServerError, Count: 1})
			require.Error(t, remove(w), name)
			require.NotEmpty(t, w.sim.Reservations(), name)
			require.NoError(t, remove(w), name)
			assert.Empty(t, w.sim.Reservations(), name)
		}
	})
	t.Run("an_empty_record_may_be_made_and_deleted_twice", func(t *testing.T) {
		t.Parallel()
		w := start(t, 1, 0)
		_, changed, err := w.region.EnsureEndpoint(w.ctx(), endpoint, nil, nil)
		require.NoError(t, err)
		assert.True(t, changed)
		require.NoError(t, w.region.DeleteEndpoint(w.ctx(), endpoint))
		require.NoError(t, w.region.DeleteEndpoint(w.ctx(), endpoint))
		_, err = w.region.GetEndpoint(w.ctx(), endpoint)
		requireFault(t, err, fault.NotFound, fault.ReasonEndpointNotFound)
	})
	t.Run("an_unknown_domain_is_the_requests_fault", func(t *testing.T) {
		t.Parallel()
		w := start(t, 1, 0)
		_, _, err := w.region.EnsureEndpoint(w.ctx(), provision.EndpointRef{Name: "prod", Domain: "nowhere.example"}, nil, nil)
		requireFault(t, err, fault.Invalid, fault.ReasonDomainNotFound)
	})
}

func TestMAASRegion_tells_what_the_region_has(t *testing.T) {
	t.Parallel()
	w := start(t, 2, 1)
	region := w.region.Region(w.ctx())
	require.NoError(t, region.Problem)
	assert.Equal(t, provision.Region{MAASVersion: "3.5.4", User: "admin", Admin: true, LXDVMs: true, BareMetal: true, DNS: true}, region)
	zones, err := w.region.Zones(w.ctx())
	require.NoError(t, err)
	with := map[string]bool{}
	for _, z := range zones {
		with[z.Name] = z.HasLXDHosts
	}
	assert.Equal(t, map[string]bool{"az1": true, "az2": true, "az3": false, "default": false}, with)
	pools, err := w.region.Pools(w.ctx())
	require.NoError(t, err)
	assert.Equal(t, "default", pools[0].Name)
	subnets, err := w.region.Subnets(w.ctx())
	require.NoError(t, err)
	assert.Len(t, subnets, 3)
	images, err := w.region.Images(w.ctx())
	require.NoError(t, err)
	assert.Len(t, images, 3)
}

func TestMAASRegion_R3_3_tells_which_zones_have_lost_their_hosts(t *testing.T) {
	t.Parallel()
	w := start(t, 3, 0)
	for _, host := range w.sim.Machines() {
		if host.VMHost && host.Zone == "az1" {
			require.NoError(t, w.sim.SetHostOffline(host.Hostname, true))
		}
	}
	w.cfg.Snapshot = w.lxd.Snapshot
	zones, err := provision.NewMAASRegion(w.cfg).Zones(w.ctx())
	require.NoError(t, err)
	lost := map[string]bool{}
	for _, z := range zones {
		lost[z.Name] = z.LXDHostsUnusable
	}
	assert.Equal(t, map[string]bool{"az1": true, "az2": false, "az3": false, "default": false}, lost, "a zone that never had hosts has lost none")
}

func TestMAASRegion_does_not_list_the_hosts_of_a_large_region_to_know_what_it_has(t *testing.T) {
	t.Parallel()
	w := start(t, 3, 0)
	for range 3 {
		require.NoError(t, w.region.Region(w.ctx()).Problem)
	}
	assert.Zero(t, w.sim.Requests()["vm-hosts.list"], "it takes MAAS up to 30 ms a host, and is asked every two minutes")
	empty := start(t, 0, 1)
	got := empty.region.Region(empty.ctx())
	require.NoError(t, got.Problem, "a region may get its first host later")
	assert.True(t, got.LXDVMs)

	w.cfg.Snapshot = w.lxd.Snapshot
	region := provision.NewMAASRegion(w.cfg)
	w.host("lxd-1")
	for range 3 {
		zones, err := region.Zones(w.ctx())
		require.NoError(t, err)
		assert.Len(t, zones, 4)
	}
	assert.Equal(t, 1, w.sim.Requests()["vm-hosts.list"], "one reading serves all who ask together")
}

func TestMAASRegion_answers_where_something_is_wrong(t *testing.T) {
	t.Parallel()
	t.Run("a_user_who_is_no_administrator", func(t *testing.T) {
		t.Parallel()
		w := start(t, 1, 0)
		alice := w.as(w.sim.UserAPIKey())
		got := provision.NewMAASRegion(provision.Config{
			Backend: maasvmhost.New(alice, w.clock.now, w.cfg.Logger), MAAS: maasregion.New(alice, w.clock.now), Clock: w.clock.now,
		}).Region(w.ctx())
		requireFault(t, got.Problem, fault.Denied, fault.ReasonMAASRightsMissing)
		assert.Equal(t, "alice", got.User)
		assert.False(t, got.LXDVMs)
	})
	t.Run("a_key_that_MAAS_refuses", func(t *testing.T) {
		t.Parallel()
		w := start(t, 1, 0)
		nobody := w.as("a:b:c")
		got := provision.NewMAASRegion(provision.Config{
			Backend: maasvmhost.New(nobody, w.clock.now, w.cfg.Logger), MAAS: maasregion.New(nobody, w.clock.now), Clock: w.clock.now,
		}).Region(w.ctx())
		requireFault(t, got.Problem, fault.Denied, fault.ReasonMAASKeyRefused)
		assert.False(t, got.BareMetal)
	})
	t.Run("a_MAAS_without_VM_hosts", func(t *testing.T) {
		t.Parallel()
		w := start(t, 0, 1, func(c *maassim.Config) { c.VMHostsGone = true })
		got := w.region.Region(w.ctx())
		requireFault(t, got.Problem, fault.Unsupported, fault.ReasonMAASVMHostRemoved)
		assert.True(t, got.BareMetal)
		_, err := w.lxd.ListHosts(w.ctx(), provision.HostFilter{})
		requireFault(t, err, fault.Unsupported, fault.ReasonMAASVMHostRemoved)
		zones, err := w.region.Zones(w.ctx())
		require.NoError(t, err)
		assert.NotEmpty(t, zones)
		_, err = w.metal.AllocateMachine(w.ctx(), allocateRequest())
		require.NoError(t, err, "bare metal does not need VM hosts")
	})
}
