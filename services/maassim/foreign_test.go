package maassim_test

import (
	"net"
	"testing"

	"github.com/canonical/gomaasclient/client"
	"github.com/canonical/gomaasclient/entity"
	"github.com/canonical/gomaasclient/entity/node"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/maassim"
)

// gomaasclient returns Canonical's client of a fresh simulator of this version, with two hosts and a bare-metal machine.
func gomaasclient(t *testing.T, version string) (*client.Client, *maas) {
	t.Helper()
	cfg := maassim.DefaultConfig(2, 2, 1)
	cfg.Version = version
	m := start(t, cfg)
	c, err := client.GetClient(m.base+"/MAAS", m.APIKey(), "2.0")
	require.NoError(t, err)
	return c, m
}

// TestForeign_gomaasclient lives a VM's life through a client that knows nothing of the simulator.
func TestForeign_gomaasclient_lives_a_life_of_a_VM(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"3.4", "3.5", "3.6", "3.7", "3.8"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			c, m := gomaasclient(t, version)
			v, err := c.Version.Get()
			require.NoError(t, err)
			assert.Equal(t, m.Version(), v.Version)
			who, err := c.Users.Whoami()
			require.NoError(t, err)
			assert.True(t, who.IsSuperUser)

			hosts, err := c.VMHosts.Get()
			require.NoError(t, err)
			require.Len(t, hosts, 2)
			host, err := c.VMHost.Get(hosts[0].ID)
			require.NoError(t, err)
			assert.Equal(t, "lxd", host.Type)
			assert.EqualValues(t, 32, host.Available.Cores)
			parameters, err := c.VMHost.GetParameters(host.ID)
			require.NoError(t, err)
			assert.Equal(t, "maas", parameters["project"])

			made, err := c.VMHost.Compose(host.ID, &entity.VMHostMachineParams{Hostname: "vm-0", Cores: 2, Memory: 4096, Storage: "root:20(default)"})
			require.NoError(t, err)
			vm, err := c.Machine.Get(made.SystemID)
			require.NoError(t, err)
			assert.Equal(t, node.StatusReady, vm.Status)
			assert.Equal(t, host.Name, vm.VMHost.Name)
			found, err := c.Machines.Get(&entity.MachinesParams{Hostname: []string{"vm-0"}})
			require.NoError(t, err)
			require.Len(t, found, 1)

			taken, err := c.Machines.Allocate(&entity.MachineAllocateParams{SystemID: vm.SystemID, AgentName: "foreign"})
			require.NoError(t, err)
			assert.Equal(t, "admin", taken.Owner)
			marked, err := c.Machine.SetWorkloadAnnotations(vm.SystemID, map[string]string{"cluster": "c1"})
			require.NoError(t, err)
			assert.Equal(t, "c1", marked.WorkloadAnnotations["cluster"])
			deploying, err := c.Machine.Deploy(vm.SystemID, &entity.MachineDeployParams{DistroSeries: "jammy", UserData: "I2Nsb3VkLWNvbmZpZwo="})
			require.NoError(t, err)
			assert.Equal(t, node.StatusDeploying, deploying.Status)
			deployed, err := c.Machine.Get(vm.SystemID)
			require.NoError(t, err)
			assert.Equal(t, node.StatusDeployed, deployed.Status)
			assert.NotEmpty(t, deployed.IPAddresses)
			state, err := c.Machine.GetPowerState(vm.SystemID)
			require.NoError(t, err)
			assert.EqualValues(t, "on", state.State)
			_, err = c.Machine.Lock(vm.SystemID, "")
			require.NoError(t, err)
			_, err = c.Machine.Unlock(vm.SystemID, "")
			require.NoError(t, err)
			released, err := c.Machine.Release(vm.SystemID, &entity.MachineReleaseParams{Comment: "done"})
			require.NoError(t, err)
			assert.Contains(t, []node.Status{node.StatusReleasing, node.StatusReady}, released.Status)
			require.NoError(t, c.Machine.Delete(vm.SystemID))
			_, err = c.Machine.Get(vm.SystemID)
			require.ErrorContains(t, err, "404")
			assert.Empty(t, m.LXD())
			refreshed, err := c.VMHost.Refresh(host.ID)
			require.NoError(t, err)
			assert.EqualValues(t, 0, refreshed.Used.Cores)
		})
	}
}

func TestForeign_gomaasclient_reads_and_writes_networks(t *testing.T) {
	t.Parallel()
	c, m := gomaasclient(t, "3.5")
	id := m.compose("net-0", "")
	subnets, err := c.Subnets.Get()
	require.NoError(t, err)
	mgmt := subnets[0]
	one, err := c.Subnet.Get(mgmt.ID)
	require.NoError(t, err)
	assert.Equal(t, "10.10.0.0/16", one.CIDR)
	_, err = c.Subnet.GetReservedIPRanges(mgmt.ID)
	require.NoError(t, err)
	_, err = c.Subnet.GetUnreservedIPRanges(mgmt.ID)
	require.NoError(t, err)
	_, err = c.Subnet.GetStatistics(mgmt.ID)
	require.NoError(t, err)
	_, err = c.Subnet.GetIPAddresses(mgmt.ID)
	require.NoError(t, err)

	nics, err := c.NetworkInterfaces.Get(id)
	require.NoError(t, err)
	require.Len(t, nics, 1)
	linked, err := c.NetworkInterface.LinkSubnet(id, nics[0].ID, &entity.NetworkInterfaceLinkParams{
		Mode: "STATIC", Subnet: mgmt.ID, IPAddress: "10.10.1.7", Force: true, DefaultGateway: true,
	})
	require.NoError(t, err)
	require.Len(t, linked.Links, 1)
	assert.Equal(t, "10.10.1.7", linked.Links[0].IPAddress)
	unlinked, err := c.NetworkInterface.UnlinkSubnet(id, linked.ID, linked.Links[0].ID)
	require.NoError(t, err)
	for _, link := range unlinked.Links {
		assert.Empty(t, link.IPAddress)
	}

	record, err := c.DNSResources.Create(&entity.DNSResourceParams{FQDN: "api.cluster.example", IPAddresses: "10.10.1.8 10.10.1.9", AddressTTL: 30})
	require.NoError(t, err)
	require.Len(t, record.IPAddresses, 2)
	record, err = c.DNSResource.Update(record.ID, &entity.DNSResourceParams{IPAddresses: "10.10.1.9", AddressTTL: 60})
	require.NoError(t, err)
	assert.Len(t, record.IPAddresses, 1)
	records, err := c.DNSResources.Get(&entity.DNSResourcesParams{FQDN: "api.cluster.example"})
	require.NoError(t, err)
	require.Len(t, records, 1)
	assert.True(t, records[0].IPAddresses[0].IP.Equal(net.ParseIP("10.10.1.9")))
	require.NoError(t, c.DNSResource.Delete(record.ID))
	domains, err := c.Domains.Get()
	require.NoError(t, err)
	assert.Len(t, domains, 2)

	reserved, err := c.IPAddresses.Reserve(&entity.IPAddressesParams{IP: "10.10.1.50"})
	require.NoError(t, err)
	assert.Equal(t, "10.10.1.50", reserved.IP.String())
	_, err = c.IPAddresses.Get(&entity.IPAddressesParams{})
	require.NoError(t, err)
	require.NoError(t, c.IPAddresses.Release(&entity.IPAddressesParams{IP: "10.10.1.50"}))
	spaces, err := c.Spaces.Get()
	require.NoError(t, err)
	assert.NotEmpty(t, spaces)
	fabrics, err := c.Fabrics.Get()
	require.NoError(t, err)
	vlans, err := c.VLANs.Get(fabrics[0].ID)
	require.NoError(t, err)
	assert.NotEmpty(t, vlans)
}

func TestForeign_gomaasclient_reads_and_writes_the_catalogue(t *testing.T) {
	t.Parallel()
	c, m := gomaasclient(t, "3.5")
	id := m.compose("cat-0", "")
	zones, err := c.Zones.Get()
	require.NoError(t, err)
	assert.Len(t, zones, 3)
	zone, err := c.Zone.Get("az1")
	require.NoError(t, err)
	assert.Equal(t, "az1", zone.Name)
	pools, err := c.ResourcePools.Get()
	require.NoError(t, err)
	assert.Len(t, pools, 1)
	pool, err := c.ResourcePools.Create(&entity.ResourcePoolParams{Name: "gold"})
	require.NoError(t, err)
	again, err := c.ResourcePool.Get(pool.ID)
	require.NoError(t, err)
	assert.Equal(t, "gold", again.Name)
	moved, err := c.Machine.Update(id, &entity.MachineUpdateParams{Pool: "gold", Zone: "az2"}, nil)
	require.NoError(t, err)
	assert.Equal(t, []string{"gold", "az2"}, []string{moved.Pool.Name, moved.Zone.Name})

	tag, err := c.Tags.Create(&entity.TagParams{Name: "mine", Comment: "ours"})
	require.NoError(t, err)
	require.NoError(t, c.Tag.AddMachines(tag.Name, []string{id}))
	tagged, err := c.Tag.GetMachines(tag.Name)
	require.NoError(t, err)
	require.Len(t, tagged, 1)
	require.NoError(t, c.Tag.RemoveMachines(tag.Name, []string{id}))
	tags, err := c.Tags.Get()
	require.NoError(t, err)
	assert.NotEmpty(t, tags)

	images, err := c.BootResources.Get(&entity.BootResourcesReadParams{})
	require.NoError(t, err)
	assert.Len(t, images, 3)
	image, err := c.BootResource.Get(images[0].ID)
	require.NoError(t, err)
	assert.NotEmpty(t, image.Sets)
	series, err := c.MAASServer.Get("default_distro_series")
	require.NoError(t, err)
	assert.JSONEq(t, `"jammy"`, string(series))
	events, err := c.Events.Get(&entity.EventParams{ID: id})
	require.NoError(t, err)
	assert.Equal(t, len(events.Events), events.Count)
}

func TestForeign_gomaasclient_is_told_no_in_ways_that_it_knows(t *testing.T) {
	t.Parallel()
	c, m := gomaasclient(t, "3.5")
	_, err := c.VMHost.Compose(1, &entity.VMHostMachineParams{Cores: 33})
	require.ErrorContains(t, err, "Ensure this value is less than or equal to 32.")
	_, err = c.Machines.Allocate(&entity.MachineAllocateParams{SystemID: "nosuch"})
	require.ErrorContains(t, err, "409")
	require.NoError(t, m.AddFaults(maassim.Fault{Operation: "zones.list", Mangle: maassim.MangleWrongTypes, Count: 1}))
	_, err = c.Zones.Get()
	require.ErrorContains(t, err, "cannot unmarshal")
	plainUser, err := client.GetClient(m.base+"/MAAS", m.UserAPIKey(), "2.0")
	require.NoError(t, err)
	_, err = plainUser.VMHost.Compose(1, &entity.VMHostMachineParams{})
	require.ErrorContains(t, err, "This method is reserved for admin users.")
}
