package provision_test

import (
	"net/netip"
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/provision"
	"github.com/capmaas/capmaas/services/maassim"
)

func static(address string, more ...func(*provision.StaticIP)) provision.Network {
	ip := provision.StaticIP{Address: netip.MustParseAddr(address)}
	for _, m := range more {
		m(&ip)
	}
	return provision.Network{StaticIP: &ip}
}

func TestComposeVM_refuses_a_static_IP_before_anything_is_made(t *testing.T) {
	t.Parallel()
	w := start(t, 1, 0)
	gateway := func(a string) func(*provision.StaticIP) {
		return func(ip *provision.StaticIP) { ip.Gateway = netip.MustParseAddr(a) }
	}
	dns := func(a string) func(*provision.StaticIP) {
		return func(ip *provision.StaticIP) { ip.DNSServers = []netip.Addr{netip.MustParseAddr(a)} }
	}
	subnet := func(c string) func(*provision.StaticIP) {
		return func(ip *provision.StaticIP) { ip.Subnet = netip.MustParsePrefix(c) }
	}
	nic := func(n string) func(*provision.StaticIP) {
		return func(ip *provision.StaticIP) { ip.Interface = n }
	}
	w.post("ipaddresses/?op=reserve", url.Values{"ip": {"10.30.0.99"}})
	for _, tc := range []struct {
		name   string
		net    provision.Network
		reason fault.Reason
	}{
		{"the_gateway", static("10.30.0.1"), fault.ReasonStaticIPInvalid},
		{"a_DNS_server", static("10.30.0.2"), fault.ReasonStaticIPInvalid},
		{"the_network_address", static("10.30.0.0"), fault.ReasonStaticIPInvalid},
		{"the_broadcast_address", static("10.30.0.255"), fault.ReasonStaticIPInvalid},
		{"the_dynamic_range", static("10.30.0.210"), fault.ReasonStaticIPInvalid},
		{"another_gateway", static("10.30.0.50", gateway("10.30.0.254")), fault.ReasonStaticIPGatewayMismatch},
		{"another_DNS_server", static("10.30.0.50", dns("8.8.8.8")), fault.ReasonStaticIPDNSMismatch},
		{"another_subnet", static("10.30.0.50", subnet("10.10.0.0/16")), fault.ReasonStaticIPInvalid},
		{"an_unknown_subnet", static("10.30.0.50", subnet("10.99.0.0/16")), fault.ReasonSubnetNotFound},
		{"no_subnet_at_all", static("192.0.2.7"), fault.ReasonSubnetNotFound},
		{"a_NIC_that_is_not_there", static("10.30.0.50", nic("eth7")), fault.ReasonStaticIPInvalid},
		{"taken_by_a_reservation", static("10.30.0.99"), fault.ReasonStaticIPTaken},
	} {
		t.Run("X3.5_S4_"+tc.name, func(t *testing.T) {
			req := w.composeRequest("cp-0", "lxd-1")
			req.Network = tc.net
			_, err := w.lxd.ComposeVM(w.ctx(), req)
			requireFault(t, err, fault.Invalid, tc.reason)
			assert.Zero(t, w.sim.Requests()["vm-hosts.compose"], "S4 refused before any VM is made")
		})
	}
}

func TestComposeVM_gives_a_static_IP(t *testing.T) {
	t.Parallel()
	w := start(t, 2, 0)
	req := w.composeRequest("cp-0", "lxd-1")
	req.Network = static("10.30.0.12", func(ip *provision.StaticIP) { ip.Gateway = netip.MustParseAddr("10.30.0.1") })
	vm, err := w.lxd.ComposeVM(w.ctx(), req)
	require.NoError(t, err, "X3.5 a plain reserved range is allowed: it keeps automatic addresses away")
	assert.Equal(t, []netip.Addr{netip.MustParseAddr("10.30.0.12")}, vm.Addresses, "S6")
	_, err = w.lxd.DeployVM(w.ctx(), deployRequest(req))
	require.NoError(t, err)

	other := w.composeRequest("cp-1", "lxd-2")
	other.Network = static("10.30.0.12")
	_, err = w.lxd.ComposeVM(w.ctx(), other)
	requireFault(t, err, fault.Invalid, fault.ReasonStaticIPTaken)
	assert.Len(t, w.sim.LXD(), 1, "S4 refused before any VM is made")

	other.Network = static("10.30.0.13")
	vm, err = w.lxd.ComposeVM(w.ctx(), other)
	require.NoError(t, err, "X3.5 MAAS shows the whole reserved range as assigned once one of its addresses is")
	assert.Equal(t, []netip.Addr{netip.MustParseAddr("10.30.0.13")}, vm.Addresses, "S6")
}

func TestComposeVM_deletes_the_VM_whose_static_IP_was_taken_meanwhile(t *testing.T) {
	t.Parallel()
	w := start(t, 1, 0)
	req := w.composeRequest("cp-0", "lxd-1")
	req.Network = static("10.30.0.60")
	// The address is free when it is checked and taken when it is linked.
	w.fault(maassim.Fault{Operation: "interfaces.link_subnet", Status: 404, Body: "IP address is already in use.", Count: 1})
	_, err := w.lxd.ComposeVM(w.ctx(), req)
	requireFault(t, err, fault.Invalid, fault.ReasonStaticIPTaken)
	assert.Empty(t, w.sim.LXD(), "X3.5")
}

func TestComposeVM_puts_the_network_right(t *testing.T) {
	t.Parallel()
	data := netip.MustParsePrefix("10.30.0.0/24")
	t.Run("R6.2_a_preferred_subnet_chooses_the_bridge", func(t *testing.T) {
		t.Parallel()
		w := start(t, 1, 0)
		req := w.composeRequest("cp-0", "lxd-1")
		req.Network.PreferredSubnets = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), data}
		_, err := w.lxd.ComposeVM(w.ctx(), req)
		require.NoError(t, err)
		vm := w.deploy(req)
		require.Len(t, vm.Addresses, 1)
		assert.True(t, data.Contains(vm.Addresses[0]), "%v", vm.Addresses)
	})
	t.Run("X3.4_both_families", func(t *testing.T) {
		t.Parallel()
		w := start(t, 1, 0)
		req := w.composeRequest("cp-0", "lxd-1")
		req.Network = provision.Network{PreferredSubnets: []netip.Prefix{data}, Families: []provision.Family{provision.IPv4, provision.IPv6}}
		vm, err := w.lxd.ComposeVM(w.ctx(), req)
		require.NoError(t, err)
		assert.Len(t, links(vm.Machine), 2)
		w.restart()
		req.Attempt = w.sent(req.Attempt)
		again, err := w.lxd.ComposeVM(w.ctx(), req)
		require.NoError(t, err)
		assert.Len(t, links(again.Machine), 2, "X3.4 compare first: a repeat adds no link")
		assert.Len(t, w.deploy(req).Addresses, 2)
	})
	t.Run("X2.2_a_NIC_on_a_named_bridge_and_one_on_a_named_subnet", func(t *testing.T) {
		t.Parallel()
		w := start(t, 1, 0)
		req := w.composeRequest("cp-0", "lxd-1")
		req.Network.Interfaces = []provision.NIC{{Bridge: "br0"}, {Subnet: "data"}}
		vm, err := w.lxd.ComposeVM(w.ctx(), req)
		require.NoError(t, err)
		require.Len(t, vm.Interfaces, 2)
	})
	t.Run("an_unknown_subnet_is_the_requests_fault", func(t *testing.T) {
		t.Parallel()
		w := start(t, 1, 0)
		req := w.composeRequest("cp-0", "lxd-1")
		req.Network.Interfaces = []provision.NIC{{Subnet: "nowhere"}}
		_, err := w.lxd.ComposeVM(w.ctx(), req)
		requireFault(t, err, fault.Invalid, fault.ReasonSubnetNotFound)
	})
	t.Run("R4.4_a_host_that_is_not_on_the_subnet_is_a_refusal", func(t *testing.T) {
		t.Parallel()
		w := start(t, 1, 0, func(c *maassim.Config) { c.Hosts[0].Bridges = c.Hosts[0].Bridges[:1] })
		req := w.composeRequest("cp-0", "lxd-1")
		req.Network.Interfaces = []provision.NIC{{Subnet: "data"}}
		_, err := w.lxd.ComposeVM(w.ctx(), req)
		requireFault(t, err, fault.Refused, fault.ReasonNetworkRefused)
		assert.Empty(t, w.sim.LXD())
	})
}

func links(m inventory.Machine) []inventory.Link {
	boot, _ := m.BootInterface()
	return boot.Links
}
