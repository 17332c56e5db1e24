package maas_test

import (
	"encoding/base64"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/maas"
	"github.com/capmaas/capmaas/services/maassim"
)

// simulate starts a simulated MAAS and a client with its administrator's key.
func simulate(t *testing.T, cfg maassim.Config, change ...func(*maas.Config)) (*maassim.Sim, *maas.Client) {
	t.Helper()
	sim, err := maassim.New(cfg)
	require.NoError(t, err)
	srv := httptest.NewServer(sim)
	t.Cleanup(func() {
		sim.Close()
		srv.Close()
	})
	with := func(c *maas.Config) { c.Credentials = maas.StaticKey(sim.APIKey()) }
	return sim, client(t, srv.URL, append([]func(*maas.Config){with}, change...)...)
}

// compose makes a Ready VM on the first host.
func compose(t *testing.T, c *maas.Client, name string) inventory.Machine {
	t.Helper()
	hosts, err := c.VMHosts(t.Context())
	require.NoError(t, err)
	f := composeForm(name)
	f.ZoneID, f.PoolID, f.Architecture = hosts[0].Zone.ID, hosts[0].Pool.ID, hosts[0].Architectures[0]
	f.NICs = []maas.ComposeNIC{{Name: "eth0", Bridge: "br0"}}
	id, err := c.Compose(t.Context(), hosts[0].ID, f)
	require.NoError(t, err)
	m, err := c.Machine(t.Context(), id)
	require.NoError(t, err)
	return m
}

func TestSimulator_a_VM_from_compose_to_proved_absence(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	sim, c := simulate(t, maassim.DefaultConfig(3, 3, 0))

	m := compose(t, c, "cp-0-abcde")
	require.Equal(t, inventory.StatusReady, m.Status)
	require.Equal(t, "cp-0-abcde", m.Hostname)
	require.Equal(t, inventory.HostID("vmhost/1"), m.HostID)
	require.Equal(t, "lxd-1", m.HostName)
	require.Equal(t, "az1", m.Zone.Name, "the host's zone, not MAAS's default")
	require.True(t, m.IsVM())
	require.Equal(t, 2, m.Cores)
	require.EqualValues(t, 4096, m.MemoryMiB)
	require.Empty(t, m.Owner)
	nic, ok := m.BootInterface()
	require.True(t, ok)
	require.True(t, nic.HasVLAN)
	require.NotEmpty(t, nic.Links)

	host, err := c.VMHost(ctx, m.HostID)
	require.NoError(t, err)
	require.Equal(t, inventory.Resources{Cores: 2, MemoryMiB: 4096, DiskBytes: 20 * inventory.BytesPerGB}, host.Used)

	_, err = c.Compose(ctx, "vmhost/2", composeForm("cp-0-abcde"))
	requireFault(t, err, fault.Unavailable, fault.ReasonOutcomeUnknown)
	found, err := c.MachinesByHostname(ctx, []string{"cp-0-abcde", "nobody"})
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.Equal(t, m.SystemID, found[0].SystemID)

	_, err = c.Claimed(ctx, m.SystemID, "capmaas/cp-0-abcde")
	requireFault(t, err, fault.NotFound, fault.ReasonMachineNotFound)
	claimed, err := c.Claim(ctx, m.SystemID, "capmaas/cp-0-abcde")
	require.NoError(t, err)
	require.Equal(t, inventory.StatusAllocated, claimed.Status)
	require.Equal(t, "admin", claimed.Owner)
	_, err = c.Claim(ctx, m.SystemID, "capmaas/cp-0-abcde")
	requireFault(t, err, fault.Conflict, fault.ReasonNameTaken)
	_, err = c.Claimed(ctx, m.SystemID, "capmaas/cp-0-abcde")
	require.NoError(t, err, "X3.1: after a repeat the filter is the proof")
	_, err = c.Claimed(ctx, m.SystemID, "capmaas/other")
	requireFault(t, err, fault.NotFound, fault.ReasonMachineNotFound)

	marked, err := c.Annotate(ctx, m.SystemID, map[string]string{"capmaas-uid": "u-1", "capmaas.cluster": "c-1"})
	require.NoError(t, err)
	require.Equal(t, map[string]string{"capmaas-uid": "u-1", "capmaas.cluster": "c-1"}, marked.Annotations)
	require.NoError(t, c.DisableSwap(ctx, m.SystemID))

	userData := []byte("#cloud-config\nruncmd: [\"kubeadm join\"]\n")
	deploying, err := c.Deploy(ctx, m.SystemID, maas.DeployForm{Image: "custom/u-2204-k8s-v1.34.0", UserData: userData})
	require.NoError(t, err)
	require.Equal(t, inventory.StatusDeploying, deploying.Status)
	stored, ok := sim.UserData(m.SystemID)
	require.True(t, ok)
	require.Equal(t, base64.StdEncoding.EncodeToString(userData), stored)
	_, err = c.Deploy(ctx, m.SystemID, maas.DeployForm{Image: "ubuntu/jammy", UserData: userData})
	requireFault(t, err, fault.Busy, fault.ReasonNotReady)
	deployed, err := c.Machine(ctx, m.SystemID)
	require.NoError(t, err)
	require.Equal(t, inventory.StatusDeployed, deployed.Status)
	require.NotEmpty(t, deployed.Addresses)

	moved, err := c.Machines(ctx, maas.MachineFilter{SystemIDs: []string{m.SystemID}, NotStatuses: []inventory.Status{inventory.StatusDeploying}})
	require.NoError(t, err)
	require.Len(t, moved, 1, "X7.1: what moved on is returned")
	moved, err = c.Machines(ctx, maas.MachineFilter{SystemIDs: []string{m.SystemID}, NotStatuses: []inventory.Status{inventory.StatusDeployed}})
	require.NoError(t, err)
	require.Empty(t, moved)

	power, err := c.QueryPower(ctx, m.HostID, m.SystemID)
	require.NoError(t, err)
	require.Equal(t, inventory.PowerOn, power)
	require.NoError(t, c.DeleteMachine(ctx, "", m.SystemID))
	err = c.DeleteMachine(ctx, "", m.SystemID)
	requireFault(t, err, fault.NotFound, fault.ReasonMachineNotFound)
	_, err = c.RefreshVMHost(ctx, m.HostID)
	require.NoError(t, err)
	found, err = c.MachinesByHostname(ctx, []string{"cp-0-abcde"})
	require.NoError(t, err)
	require.Empty(t, found)
	require.Empty(t, sim.LXD())
}

func TestSimulator_X2_4_hosts_refuse_in_ways_that_are_told_apart(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	sim, c := simulate(t, maassim.DefaultConfig(2, 1, 0))
	for name, row := range map[string]struct {
		change func(*maas.ComposeForm)
		kind   fault.Kind
		reason fault.Reason
	}{
		"more_than_the_host": {func(f *maas.ComposeForm) { f.Size.Cores = 64 }, fault.Refused, fault.ReasonHostOvercommitted},
		"too_little_memory":  {func(f *maas.ComposeForm) { f.Size.MemoryMiB = 512 }, fault.Invalid, fault.ReasonBadResources},
		"no_such_bridge":     {func(f *maas.ComposeForm) { f.NICs = []maas.ComposeNIC{{Name: "eth0", Bridge: "br9"}} }, fault.Refused, fault.ReasonNetworkRefused},
		"no_such_zone":       {func(f *maas.ComposeForm) { f.ZoneID = 99 }, fault.Refused, fault.ReasonVMCompositionFailed},
		"disk_too_big":       {func(f *maas.ComposeForm) { f.Size.Disks[0].SizeGB = 9000 }, fault.Refused, fault.ReasonStorageExhausted},
	} {
		f := composeForm("big-0")
		row.change(&f)
		_, err := c.Compose(ctx, "vmhost/1", f)
		require.Equalf(t, string(row.reason), string(fault.ReasonOf(err)), "%s: %v", name, err)
		require.Equalf(t, row.kind, fault.KindOf(err), "%s: %v", name, err)
	}
	_, err := c.Compose(ctx, "vmhost/99", composeForm("cp-0"))
	requireFault(t, err, fault.Refused, fault.ReasonLXDHostUnavailable)

	require.NoError(t, sim.SetHostOffline("lxd-1", true))
	_, err = c.Compose(ctx, "vmhost/1", composeForm("cp-0"))
	requireFault(t, err, fault.Refused, fault.ReasonLXDHostUnavailable)
	_, err = c.RefreshVMHost(ctx, "vmhost/1")
	requireFault(t, err, fault.Unavailable, fault.ReasonHostUnreachable)
	require.Empty(t, sim.LXD())

	require.NoError(t, sim.AddFaults(maassim.Fault{Operation: "vm-hosts.compose", Effect: maassim.EffectComposeLost, Count: 1}))
	_, err = c.Compose(ctx, "vmhost/2", composeForm("cp-1"))
	requireFault(t, err, fault.Unavailable, fault.ReasonOutcomeUnknown)
	require.Len(t, sim.LXD(), 1, "the VM is there though nobody said so")
	require.NoError(t, sim.AddFaults(maassim.Fault{Operation: "vm-hosts.compose", Reset: true, After: true, Count: 1}))
	_, err = c.Compose(ctx, "vmhost/2", composeForm("cp-2"))
	requireFault(t, err, fault.Unavailable, fault.ReasonOutcomeUnknown)
	require.Len(t, sim.LXD(), 2, "sent once")
}

func TestSimulator_X4_2_a_host_that_is_off_shows_in_the_live_power_query(t *testing.T) {
	t.Parallel()
	sim, c := simulate(t, maassim.DefaultConfig(1, 1, 0))
	m := compose(t, c, "cp-0")
	require.NoError(t, sim.SetHostOffline("lxd-1", true))
	_, err := c.QueryPower(t.Context(), m.HostID, m.SystemID)
	requireFault(t, err, fault.Unavailable, fault.ReasonHostUnreachable)
}

func TestSimulator_hosts_are_read_with_their_machines_and_projects(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	_, c := simulate(t, maassim.DefaultConfig(4, 2, 0))
	hosts, err := c.VMHosts(ctx)
	require.NoError(t, err)
	require.Len(t, hosts, 4)
	h := hosts[1]
	require.Equal(t, inventory.HostID("vmhost/2"), h.ID)
	require.Equal(t, "lxd-2", h.Name)
	require.Equal(t, "lxd", h.Type)
	require.Equal(t, "az2", h.Zone.Name)
	require.Contains(t, h.Capabilities, "composable")
	require.Equal(t, inventory.Resources{Cores: 32, MemoryMiB: 128 << 10, DiskBytes: 2e12}, h.Total)
	require.InDelta(t, 1.0, h.CPURatio, 0)
	require.Equal(t, -1, h.VMs)
	pool, ok := h.StoragePool("")
	require.True(t, ok)
	require.Equal(t, inventory.StoragePool{Name: "default", Driver: "zfs", TotalBytes: 2e12, AvailableBytes: 2e12, Default: true}, pool)

	project, err := c.VMHostProject(ctx, h.ID)
	require.NoError(t, err)
	require.Equal(t, "maas", project)
	_, err = c.VMHost(ctx, "vmhost/77")
	requireFault(t, err, fault.NotFound, fault.ReasonMachineNotFound)
}

func TestSimulator_X3_5_a_static_address_is_given_once(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	_, c := simulate(t, maassim.DefaultConfig(1, 1, 0))
	subnets, err := c.Subnets(ctx)
	require.NoError(t, err)
	var mgmt inventory.Subnet
	for _, s := range subnets {
		if s.Name == "mgmt" {
			mgmt = s
		}
	}
	require.True(t, mgmt.CIDR.IsValid())
	require.True(t, mgmt.Managed)
	require.True(t, mgmt.Gateway.IsValid())
	ip := mgmt.CIDR.Masked().Addr().As4()
	ip[3] = 77
	link := maas.LinkForm{SubnetID: mgmt.ID, Mode: maas.LinkStatic, Address: netip.AddrFrom4(ip), Force: true, DefaultGateway: true}

	first, second := compose(t, c, "cp-0"), compose(t, c, "cp-1")
	link.InterfaceID = first.BootInterfaceID
	for range 2 {
		nic, err := c.LinkSubnet(ctx, first.SystemID, link)
		require.NoError(t, err, "the forced call may be repeated")
		require.Len(t, nic.Links, 1)
		require.Equal(t, link.Address, nic.Links[0].Address)
	}
	link.InterfaceID = second.BootInterfaceID
	_, err = c.LinkSubnet(ctx, second.SystemID, link)
	requireFault(t, err, fault.Invalid, fault.ReasonStaticIPTaken)

	ranges, err := c.ReservedRanges(ctx, mgmt.ID)
	require.NoError(t, err)
	var assigned bool
	for _, r := range ranges {
		for _, p := range r.Purposes {
			assigned = assigned || p == "assigned-ip" && !link.Address.Less(r.Start) && !r.End.Less(link.Address)
		}
	}
	require.True(t, assigned, "%v", ranges)
	held, err := c.AssignedAddresses(ctx, mgmt.ID)
	require.NoError(t, err)
	require.Contains(t, held, link.Address)

	outside := link
	outside.Address = netip.MustParseAddr("192.0.2.1")
	_, err = c.LinkSubnet(ctx, second.SystemID, outside)
	requireFault(t, err, fault.Invalid, fault.ReasonStaticIPInvalid)
	outside.SubnetID = 9999
	_, err = c.LinkSubnet(ctx, second.SystemID, outside)
	requireFault(t, err, fault.Invalid, fault.ReasonSubnetNotFound)

	nic, ok := second.BootInterface()
	require.True(t, ok)
	auto, err := c.LinkSubnet(ctx, second.SystemID, maas.LinkForm{InterfaceID: nic.ID, SubnetID: mgmt.ID, Mode: maas.LinkAuto, Force: true})
	require.NoError(t, err)
	require.Equal(t, "auto", auto.Links[0].Mode)
}

func TestSimulator_X3_9_bare_metal_is_taken_and_no_VM_is_made(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	sim, c := simulate(t, maassim.DefaultConfig(2, 1, 1))
	compose(t, c, "cp-0")
	m, err := c.AllocateMetal(ctx, "capmaas/md-0", maas.MetalConstraints{Cores: 8})
	require.NoError(t, err)
	require.Equal(t, "metal-1", m.Hostname)
	require.False(t, m.IsVM())
	_, err = c.AllocateMetal(ctx, "capmaas/md-1", maas.MetalConstraints{})
	requireFault(t, err, fault.NoRoom, fault.ReasonNoMachineAvailable)
	require.Len(t, sim.LXD(), 1, "MAAS composes by itself where VM hosts are not kept out")
	_, err = c.AllocateMetal(ctx, "capmaas/md-1", maas.MetalConstraints{Zone: "nowhere"})
	requireFault(t, err, fault.NoCandidate, fault.ReasonZoneNotFound)

	found, err := c.Machines(ctx, maas.MachineFilter{AgentNames: []string{"capmaas/md-0"}})
	require.NoError(t, err)
	require.Len(t, found, 1)
	for range 2 {
		_, err = c.Release(ctx, m.SystemID, "test")
		require.NoError(t, err)
	}
	_, ok := sim.Machine("metal-1")
	require.True(t, ok)
	err = c.Abort(ctx, m.SystemID, "nothing runs")
	requireFault(t, err, fault.Busy, fault.ReasonNotReady)
}

func TestSimulator_X3_6_an_unknown_image_is_named(t *testing.T) {
	t.Parallel()
	_, c := simulate(t, maassim.DefaultConfig(1, 1, 0))
	m := compose(t, c, "cp-0")
	_, err := c.Claim(t.Context(), m.SystemID, "capmaas/cp-0")
	require.NoError(t, err)
	_, err = c.Deploy(t.Context(), m.SystemID, maas.DeployForm{Image: "custom/nosuch", UserData: []byte("#cloud-config")})
	requireFault(t, err, fault.Invalid, fault.ReasonImageNotFound)
	require.ErrorContains(t, err, "nosuch")
	_, err = c.Deploy(t.Context(), m.SystemID, maas.DeployForm{Image: "ubuntu/jammy"})
	requireFault(t, err, fault.Invalid, fault.ReasonBadRequest)
}

func TestSimulator_why_a_deployment_failed_is_in_the_events(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	sim, c := simulate(t, maassim.DefaultConfig(1, 1, 0))
	m := compose(t, c, "cp-0")
	_, err := c.Claim(ctx, m.SystemID, "capmaas/cp-0")
	require.NoError(t, err)
	_, found, err := c.LastError(ctx, m.SystemID)
	require.NoError(t, err)
	require.False(t, found)
	require.NoError(t, sim.AddFaults(maassim.Fault{Operation: "machines.deploy", Effect: maassim.EffectFail, Count: 1}))
	_, err = c.Deploy(ctx, m.SystemID, maas.DeployForm{Image: "ubuntu/jammy", UserData: []byte("#cloud-config")})
	require.NoError(t, err)
	failed, err := c.Machine(ctx, m.SystemID)
	require.NoError(t, err)
	require.Equal(t, inventory.StatusFailedDeployment, failed.Status)
	event, found, err := c.LastError(ctx, m.SystemID)
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, "ERROR", event.Level)
	require.NotEmpty(t, event.Description)
}

func TestSimulator_X8_1_records_and_the_reservations_that_they_leave(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	sim, c := simulate(t, maassim.DefaultConfig(1, 1, 0))
	_, err := c.Record(ctx, "api.cluster.example")
	requireFault(t, err, fault.NotFound, fault.ReasonEndpointNotFound)
	_, err = c.Record(ctx, "api.nosuch.example")
	requireFault(t, err, fault.Invalid, fault.ReasonDomainNotFound)

	ttl := 10
	ips := []netip.Addr{netip.MustParseAddr("10.10.3.1"), netip.MustParseAddr("10.10.3.2")}
	made, err := c.CreateRecord(ctx, "api.cluster.example", &ttl, ips)
	require.NoError(t, err)
	require.Equal(t, &ttl, made.TTL)
	_, err = c.CreateRecord(ctx, "api.cluster.example", &ttl, ips)
	requireFault(t, err, fault.Conflict, fault.ReasonNameTaken)
	read, err := c.Record(ctx, "api.cluster.example")
	require.NoError(t, err)
	require.Equal(t, made.ID, read.ID)
	require.Len(t, read.Addresses, 2)
	require.True(t, read.Addresses[0].Reserved)

	read, err = c.ReplaceAddresses(ctx, made.ID, &ttl, ips[:1])
	require.NoError(t, err)
	require.Len(t, read.Addresses, 1)
	require.NoError(t, c.DeleteRecord(ctx, made.ID))
	_, err = c.ReplaceAddresses(ctx, made.ID, &ttl, ips)
	requireFault(t, err, fault.NotFound, fault.ReasonEndpointNotFound)
	err = c.DeleteRecord(ctx, made.ID)
	requireFault(t, err, fault.NotFound, fault.ReasonEndpointNotFound)

	require.NotEmpty(t, sim.Reservations(), "they outlive the record")
	for _, r := range sim.Reservations() {
		require.NoError(t, c.ReleaseAddress(ctx, netip.MustParseAddr(r)))
	}
	require.Empty(t, sim.Reservations())
	err = c.ReleaseAddress(ctx, ips[0])
	requireFault(t, err, fault.NotFound, fault.ReasonEndpointNotFound)
}

func TestSimulator_the_region_tells_what_it_has_and_who_we_are(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	cfg := maassim.DefaultConfig(1, 2, 0)
	cfg.Version = "3.6.2"
	cfg.Pools = []maassim.PoolConfig{{Name: "capi", Description: "cluster api"}}
	sim, c := simulate(t, cfg)

	version, err := c.Version(ctx)
	require.NoError(t, err)
	require.Equal(t, maas.Version{Text: "3.6.2", Major: 3, Minor: 6}, version)
	who, err := c.Whoami(ctx)
	require.NoError(t, err)
	require.Equal(t, maas.User{Name: "admin", Admin: true}, who)
	zones, err := c.Zones(ctx)
	require.NoError(t, err)
	names := map[string]int{}
	for _, z := range zones {
		names[z.Name] = z.ID
	}
	require.Equal(t, map[string]int{"default": 1, "az1": 2, "az2": 3}, names)
	pools, err := c.Pools(ctx)
	require.NoError(t, err)
	require.Contains(t, pools, inventory.Pool{Ref: inventory.Ref{ID: 0, Name: "default"}, Description: "Default pool"})
	require.Contains(t, pools, inventory.Pool{Ref: inventory.Ref{ID: 1, Name: "capi"}, Description: "cluster api"})
	images, err := c.Images(ctx)
	require.NoError(t, err)
	require.Contains(t, images, inventory.Image{Name: "ubuntu/jammy", Architecture: "amd64/ga-22.04"})
	require.Contains(t, images, inventory.Image{
		Name: "custom/u-2204-k8s-v1.34.0", Architecture: "amd64/generic", Title: "Ubuntu 22.04 with Kubernetes v1.34.0", Custom: true,
	})

	plainUser := client(t, "", func(c *maas.Config) { c.URL, c.Credentials = serverURL(t, sim), maas.StaticKey(sim.UserAPIKey()) })
	who, err = plainUser.Whoami(ctx)
	require.NoError(t, err)
	require.False(t, who.Admin)
	_, err = plainUser.Compose(ctx, "vmhost/1", composeForm("cp-0"))
	requireFault(t, err, fault.Denied, fault.ReasonMAASRightsMissing)
	stranger := client(t, "", func(c *maas.Config) { c.URL, c.Credentials = serverURL(t, sim), maas.StaticKey(sim.APIKey()+"x") })
	_, err = stranger.Whoami(ctx)
	requireFault(t, err, fault.Denied, fault.ReasonMAASKeyRefused)
	require.ErrorContains(t, err, "secret of the MAAS API key is wrong")
}

func TestSimulator_a_key_without_rights_is_told_so_in_every_version(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"3.4", "3.5", "3.6", "3.7", "3.8"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			cfg := maassim.DefaultConfig(1, 1, 0)
			cfg.Version = version
			sim, _ := simulate(t, cfg)
			c := client(t, "", func(c *maas.Config) { c.URL, c.Credentials = serverURL(t, sim), maas.StaticKey(sim.UserAPIKey()) })
			_, err := c.Compose(t.Context(), "vmhost/1", composeForm("cp-0"))
			requireFault(t, err, fault.Denied, fault.ReasonMAASRightsMissing)
			require.ErrorContains(t, err, "the MAAS key's user")
			_, err = c.RefreshVMHost(t.Context(), "vmhost/1")
			requireFault(t, err, fault.Denied, fault.ReasonMAASRightsMissing)
			require.ErrorContains(t, err, "the MAAS key's user")
			require.Empty(t, sim.LXD())
		})
	}
}

func TestSimulator_X2_4_an_LXD_that_is_too_new_makes_nothing(t *testing.T) {
	t.Parallel()
	cfg := maassim.DefaultConfig(1, 1, 0)
	cfg.Hosts[0].LXDVersion = "6.7"
	sim, c := simulate(t, cfg)
	_, err := c.Compose(t.Context(), "vmhost/1", composeForm("cp-0"))
	requireFault(t, err, fault.Refused, fault.ReasonLXDTooNewForMAAS)
	require.ErrorContains(t, err, "LXD 6.7 and later")
	require.Empty(t, sim.LXD())
}

// serverURL serves the simulator once more.
func serverURL(t *testing.T, sim *maassim.Sim) string {
	t.Helper()
	srv := httptest.NewServer(sim)
	t.Cleanup(srv.Close)
	return srv.URL
}

func TestSimulator_a_MAAS_without_VM_hosts_says_so(t *testing.T) {
	t.Parallel()
	cfg := maassim.DefaultConfig(1, 1, 0)
	cfg.VMHostsGone = true
	sim, c := simulate(t, cfg)
	_, err := c.VMHosts(t.Context())
	requireFault(t, err, fault.Unsupported, fault.ReasonMAASVMHostRemoved)
	require.LessOrEqual(t, sim.Requests()["vm-hosts.list"], 1, "said once, not asked again")
}
