package maas_test

import (
	"net/netip"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/maas"
)

// sentForm gives what the last request's form held.
func sentForm(t *testing.T, g *region) url.Values {
	t.Helper()
	seen := g.seen()
	require.NotEmpty(t, seen)
	values, err := url.ParseQuery(seen[len(seen)-1].form)
	require.NoError(t, err)
	return values
}

func TestCompose_X2_2_says_everything_that_MAAS_would_choose_by_itself(t *testing.T) {
	t.Parallel()
	g := serve(t, answer{200, form, "", `{"system_id": "wqhbg4", "resource_uri": "/MAAS/api/2.0/machines/wqhbg4/"}`})
	c := client(t, g.URL)
	vid := 12
	f := composeForm("cp-0-x7k2p")
	f.PoolID = 0
	f.Size.Disks = []inventory.Disk{{SizeGB: 40, StoragePool: "fast-nvme"}, {SizeGB: 100}}
	f.NICs = []maas.ComposeNIC{
		{Name: "eth0", Bridge: "br-ex"}, {Name: "eth1", VLANID: 5001}, {Name: "eth2", Fabric: "fabric-1", VID: &vid},
	}
	id, err := c.Compose(t.Context(), "vmhost/3", f)
	require.NoError(t, err)
	require.Equal(t, "wqhbg4", id)
	require.Equal(t, "/MAAS/api/2.0/vm-hosts/3/", g.seen()[0].path)
	require.Equal(t, "op=compose", g.seen()[0].query)
	require.Equal(t, url.Values{
		"hostname": {"cp-0-x7k2p"}, "cores": {"2"}, "memory": {"4096"}, "zone": {"2"}, "pool": {"0"},
		"architecture": {"amd64/generic"}, "storage": {"root:40(fast-nvme),disk1:100"},
		"interfaces":         {"eth0:name=br-ex;eth1:vlan=id:5001;eth2:fabric=fabric-1,vid=12"},
		"skip_commissioning": {"true"},
	}, sentForm(t, g))
}

func TestCompose_refuses_what_MAAS_would_misread(t *testing.T) {
	t.Parallel()
	g := serve(t, answer{200, form, "", `{"system_id": "wqhbg4"}`})
	c := client(t, g.URL)
	for name, change := range map[string]func(*maas.ComposeForm){
		"X1.2_dot_in_name":       func(f *maas.ComposeForm) { f.Hostname = "cp-0.example" },
		"X1.2_digit_first":       func(f *maas.ComposeForm) { f.Hostname = "0cp" },
		"X1.2_too_long":          func(f *maas.ComposeForm) { f.Hostname = long64 },
		"X2.2_no_zone":           func(f *maas.ComposeForm) { f.ZoneID = 0 },
		"X2.2_no_architecture":   func(f *maas.ComposeForm) { f.Architecture = "" },
		"no_disk":                func(f *maas.ComposeForm) { f.Size.Disks = nil },
		"empty_disk":             func(f *maas.ComposeForm) { f.Size.Disks = []inventory.Disk{{}} },
		"no_cores":               func(f *maas.ComposeForm) { f.Size.Cores = 0 },
		"pool_breaks_the_syntax": func(f *maas.ComposeForm) { f.Size.Disks[0].StoragePool = "a),disk9:1(b" },
		"bridge_breaks_it":       func(f *maas.ComposeForm) { f.NICs = []maas.ComposeNIC{{Name: "eth0", Bridge: "br0;x:ip=1"}} },
		"NIC_without_a_wish":     func(f *maas.ComposeForm) { f.NICs = []maas.ComposeNIC{{Name: "eth0"}} },
		"NIC_without_a_name":     func(f *maas.ComposeForm) { f.NICs = []maas.ComposeNIC{{Bridge: "br0"}} },
	} {
		f := composeForm("cp-0")
		change(&f)
		_, err := c.Compose(t.Context(), "vmhost/3", f)
		require.Truef(t, fault.Is(err, fault.Invalid), "%s: %v", name, err)
	}
	require.Empty(t, g.seen())
}

const long64 = "a234567890123456789012345678901234567890123456789012345678901234"

func TestAllocateMetal_X3_9_keeps_both_types_of_VM_host_out_as_two_values(t *testing.T) {
	t.Parallel()
	g := serve(t, answer{200, form, "", claimedJSON})
	c := client(t, g.URL)
	_, err := c.AllocateMetal(t.Context(), "capmaas/md-0", maas.MetalConstraints{
		Zone: "az1", Pool: "metal", Tags: []string{"gpu", "ssd"}, Cores: 8, MemoryMiB: 32768, Architecture: "amd64",
	})
	require.NoError(t, err)
	require.Equal(t, url.Values{
		"agent_name": {"capmaas/md-0"}, "zone": {"az1"}, "pool": {"metal"}, "tags": {"gpu", "ssd"}, "cpu_count": {"8"},
		"mem": {"32768"}, "arch": {"amd64"}, "not_pod_type": {"lxd", "virsh"},
	}, sentForm(t, g))

	_, err = c.AllocateMetal(t.Context(), "capmaas/md-0", maas.MetalConstraints{NoVMHosts: true})
	require.NoError(t, err)
	require.Equal(t, url.Values{"agent_name": {"capmaas/md-0"}}, sentForm(t, g))

	_, err = c.AllocateMetal(t.Context(), "", maas.MetalConstraints{})
	requireFault(t, err, fault.Invalid, fault.ReasonBadRequest)
}

func TestMachines_X7_4_never_lists_without_a_filter(t *testing.T) {
	t.Parallel()
	g := serve(t, answer{200, form, "", "[]"})
	c := client(t, g.URL)
	for _, f := range []maas.MachineFilter{
		{},
		{Hostnames: []string{""}},
		{AgentNames: []string{""}},
		{Statuses: []inventory.Status{99}},
		{Hostnames: []string{}},
		{NotSystemIDs: []string{"abc123"}},
	} {
		_, err := c.Machines(t.Context(), f)
		requireFault(t, err, fault.Invalid, fault.ReasonBadRequest)
	}
	_, err := c.MachinesByHostname(t.Context(), []string{"cp-0", ""})
	requireFault(t, err, fault.Invalid, fault.ReasonBadRequest)
	found, err := c.MachinesByHostname(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, found)
	require.Empty(t, g.seen())
}

func TestMachines_X7_1_asks_in_batches_that_fit_a_request_line(t *testing.T) {
	t.Parallel()
	ids := make([]string, 0, 1000)
	for n := range 1000 {
		ids = append(ids, string([]rune{'a', rune('a' + n/100), rune('0' + n/10%10), rune('0' + n%10), 'x', 'y'}))
	}
	g := serve(t, answer{200, form, "", "[" + machineJSON + "]"})
	c := client(t, g.URL)
	found, err := c.Machines(t.Context(), maas.MachineFilter{SystemIDs: ids, NotStatuses: []inventory.Status{inventory.StatusDeployed}})
	require.NoError(t, err)
	require.Len(t, found, 3)
	asked := make(map[string]bool)
	for _, r := range g.seen() {
		require.Less(t, len(r.query), 8000)
		q, err := url.ParseQuery(r.query)
		require.NoError(t, err)
		require.Equal(t, []string{"deployed"}, q["not_status"])
		require.LessOrEqual(t, len(q["id"]), 400)
		for _, id := range q["id"] {
			asked[id] = true
		}
	}
	require.Len(t, asked, 1000)

	full := serve(t, answer{200, form, "", "[]"})
	_, err = client(t, full.URL).Machines(t.Context(), maas.MachineFilter{SystemIDs: ids[:120]})
	require.NoError(t, err)
	require.Len(t, full.seen(), 3)

	all, err := url.ParseQuery(allFilters(t))
	require.NoError(t, err)
	require.Equal(t, url.Values{
		"id": {"abc123"}, "hostname": {"cp-0"}, "agent_name": {"capmaas/cp-0"}, "owner": {"capmaas"}, "zone": {"az1"}, "pool": {"p"},
		"pod": {"lxd-1"}, "not_id": {"def456"}, "status": {"ready", "new"}, "not_status": {"deploying"}, "not_owner": {"alice"}, "not_power_state": {"on"},
	}, all)
}

// allFilters gives the query that a filter with everything in it makes.
func allFilters(t *testing.T) string {
	t.Helper()
	g := serve(t, answer{200, form, "", "[]"})
	_, err := client(t, g.URL).Machines(t.Context(), maas.MachineFilter{
		SystemIDs: []string{"abc123"}, Hostnames: []string{"cp-0"}, AgentNames: []string{"capmaas/cp-0"}, Owners: []string{"capmaas"},
		Zones: []string{"az1"}, Pools: []string{"p"}, VMHosts: []string{"lxd-1"}, NotSystemIDs: []string{"def456"},
		Statuses:    []inventory.Status{inventory.StatusReady, inventory.StatusNew},
		NotStatuses: []inventory.Status{inventory.StatusDeploying}, NotOwners: []string{"alice"}, NotPowers: []inventory.Power{inventory.PowerOn},
	})
	require.NoError(t, err)
	return g.seen()[0].query
}

func TestRecords_X8_1_always_send_the_whole_list_and_the_TTL(t *testing.T) {
	t.Parallel()
	g := serve(t, answer{200, form, "", `{"id": 7, "fqdn": "api.cluster.example", "address_ttl": 10, "resource_uri": "/x/", "ip_addresses": [{"ip": "10.0.0.1", "alloc_type": 4}, {"ip": "10.0.0.2", "alloc_type": 0}]}`})
	c := client(t, g.URL)
	ttl := 10
	rec, err := c.CreateRecord(t.Context(), "api.cluster.example", &ttl, []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("fd00::1")})
	require.NoError(t, err)
	require.Equal(t, url.Values{"fqdn": {"api.cluster.example"}, "address_ttl": {"10"}, "ip_addresses": {"10.0.0.1 fd00::1"}}, sentForm(t, g))
	require.Equal(t, inventory.DNSRecord{ID: 7, FQDN: "api.cluster.example", TTL: &ttl, Addresses: []inventory.DNSAddress{
		{IP: netip.MustParseAddr("10.0.0.1"), Reserved: true}, {IP: netip.MustParseAddr("10.0.0.2")},
	}}, rec)

	_, err = c.ReplaceAddresses(t.Context(), 7, nil, nil)
	require.NoError(t, err)
	require.Equal(t, url.Values{"address_ttl": {""}, "ip_addresses": {""}}, sentForm(t, g))

	sent := len(g.seen())
	for _, name := range []string{"", "nodots", ".cluster.example", "api.", "api x.cluster.example"} {
		_, err = c.Record(t.Context(), name)
		requireFault(t, err, fault.Invalid, fault.ReasonBadRequest)
		_, err = c.CreateRecord(t.Context(), name, nil, nil)
		requireFault(t, err, fault.Invalid, fault.ReasonBadRequest)
	}
	negative := -1
	_, err = c.ReplaceAddresses(t.Context(), 7, &negative, nil)
	requireFault(t, err, fault.Invalid, fault.ReasonBadRequest)
	_, err = c.ReplaceAddresses(t.Context(), 7, nil, []netip.Addr{{}})
	requireFault(t, err, fault.Invalid, fault.ReasonBadRequest)
	require.Error(t, c.DeleteRecord(t.Context(), -1), "-1 is the id of what MAAS makes of machines")
	require.Error(t, c.ReleaseAddress(t.Context(), netip.Addr{}))
	require.Len(t, g.seen(), sent)
}

func TestAnnotate_X3_3_refuses_keys_on_which_MAAS_fails(t *testing.T) {
	t.Parallel()
	g := serve(t, answer{200, form, "", machineJSON})
	c := client(t, g.URL)
	for _, key := range []string{"", "capmaas.io/uid", "a b", "a:b", "op", long64 + long64 + long64 + long64} {
		_, err := c.Annotate(t.Context(), "abc123", map[string]string{key: "x"})
		requireFault(t, err, fault.Invalid, fault.ReasonBadRequest)
	}
	require.Empty(t, g.seen())
	_, err := c.Annotate(t.Context(), "abc123", map[string]string{"capmaas-uid": "x", "capmaas.old": ""})
	require.NoError(t, err)
	require.Equal(t, url.Values{"capmaas-uid": {"x"}, "capmaas.old": {""}}, sentForm(t, g))
}

func TestLinkSubnet_X3_5_sends_a_static_address_with_force(t *testing.T) {
	t.Parallel()
	g := serve(t, answer{200, form, "", `{"id": 46, "name": "eth0", "type": "physical", "mac_address": "00:16:3e:a5:4d:ca", "vlan": {"id": 1, "vid": 0},
		"links": [{"id": 57, "mode": "static", "ip_address": "10.10.1.150", "subnet": {"id": 3, "cidr": "10.10.0.0/16"}}]}`})
	c := client(t, g.URL)
	nic, err := c.LinkSubnet(t.Context(), "abc123", maas.LinkForm{
		InterfaceID: 46, SubnetID: 3, Mode: maas.LinkStatic, Address: netip.MustParseAddr("10.10.1.150"), Force: true, DefaultGateway: true,
	})
	require.NoError(t, err)
	require.Equal(t, inventory.Interface{
		ID: 46, Name: "eth0", Type: "physical", MAC: "00:16:3e:a5:4d:ca", VLANID: 1, HasVLAN: true,
		Links: []inventory.Link{{ID: 57, Mode: "static", SubnetID: 3, CIDR: "10.10.0.0/16", Address: netip.MustParseAddr("10.10.1.150")}},
	}, nic)
	require.Equal(t, "/MAAS/api/2.0/nodes/abc123/interfaces/46/", g.seen()[0].path)
	require.Equal(t, url.Values{
		"mode": {"STATIC"}, "subnet": {"3"}, "ip_address": {"10.10.1.150"}, "force": {"true"}, "default_gateway": {"true"},
	}, sentForm(t, g))

	sent := len(g.seen())
	for _, l := range []maas.LinkForm{
		{InterfaceID: 46, SubnetID: 3, Mode: maas.LinkStatic},
		{InterfaceID: 46, SubnetID: 3},
		{SubnetID: 3, Mode: maas.LinkAuto},
		{InterfaceID: 46, Mode: maas.LinkAuto},
		{InterfaceID: 46, SubnetID: 3, Mode: maas.LinkAuto, Address: netip.MustParseAddr("10.10.1.150")},
	} {
		_, err = c.LinkSubnet(t.Context(), "abc123", l)
		requireFault(t, err, fault.Invalid, fault.ReasonBadRequest)
	}
	require.Len(t, g.seen(), sent)
}

func TestMachine_reads_what_other_versions_of_MAAS_may_send(t *testing.T) {
	t.Parallel()
	g := serve(t, answer{200, form, "", `{
		"system_id": "abc123", "hostname": "cp-0", "status": "11", "status_name": "Failed deployment", "status_message": "x",
		"error_description": "Node operation 'Deploying' timed out after 30 minutes.", "cpu_count": 2.0, "memory": "4096", "storage": 20000.5,
		"pool": null, "owner": null, "zone": {"id": 2, "name": "az1", "new_in_4": {}}, "pod": {"id": 5, "name": "lxd-21"}, "virtualmachine_id": 30,
		"ip_addresses": ["10.0.0.1", "nonsense", "::ffff:10.0.0.2"], "tag_names": null, "interface_set": null, "boot_interface": null,
		"workload_annotations": {"a": "b", "n": 3}, "is_dpu": false, "ephemeral_deploy": true}`})
	m, err := client(t, g.URL).Machine(t.Context(), "abc123")
	require.NoError(t, err)
	require.False(t, m.ReadAt.IsZero())
	require.Equal(t, inventory.Machine{
		SystemID: "abc123", Hostname: "cp-0", Status: inventory.StatusFailedDeployment, StatusName: "Failed deployment",
		Message: "Node operation 'Deploying' timed out after 30 minutes.", Cores: 2, MemoryMiB: 4096, DiskBytes: 20_000_500_000,
		Zone: inventory.Ref{ID: 2, Name: "az1"}, HostID: "vmhost/5", HostName: "lxd-21", VirtualMachineID: 30, InMemory: true,
		Addresses:   []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")},
		Annotations: map[string]string{"a": "b", "n": "3"}, ReadAt: m.ReadAt,
	}, m)
}
