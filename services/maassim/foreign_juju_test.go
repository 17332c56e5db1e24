package maassim_test

import (
	"testing"

	gomaasapi "github.com/juju/gomaasapi/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/maassim"
)

// juju returns Juju's client of a fresh simulator.
func juju(t *testing.T, cfg maassim.Config) (gomaasapi.Controller, *maas) {
	t.Helper()
	m := start(t, cfg)
	c, err := gomaasapi.NewController(gomaasapi.ControllerArgs{BaseURL: m.base + "/MAAS", APIKey: m.APIKey()})
	require.NoError(t, err)
	return c, m
}

func TestForeign_gomaasapi_reads_the_catalogue(t *testing.T) {
	t.Parallel()
	cfg := maassim.DefaultConfig(2, 2, 1)
	cfg.Tags = []string{"spare"}
	c, m := juju(t, cfg)
	assert.True(t, c.Capabilities().Contains(gomaasapi.NetworksManagement))
	version, _, err := c.APIVersionInfo()
	require.NoError(t, err)
	assert.Equal(t, m.Version(), version)

	zones, err := c.Zones()
	require.NoError(t, err)
	assert.Len(t, zones, 3)
	_, err = c.Pools()
	require.ErrorContains(t, err, "404", "the client asks for pools/, which MAAS does not have")
	domains, err := c.Domains()
	require.NoError(t, err)
	assert.Len(t, domains, 2)
	spaces, err := c.Spaces()
	require.NoError(t, err)
	for _, space := range spaces {
		if space.Name() == "mgmt" {
			require.Len(t, space.Subnets(), 1)
			assert.Equal(t, "10.10.0.0/16", space.Subnets()[0].CIDR())
		}
	}
	fabrics, err := c.Fabrics()
	require.NoError(t, err)
	require.NotEmpty(t, fabrics)
	assert.NotEmpty(t, fabrics[0].VLANs())
	images, err := c.BootResources()
	require.NoError(t, err)
	assert.Len(t, images, 3)
	tags, err := c.Tags()
	require.NoError(t, err)
	assert.NotEmpty(t, tags)
}

func TestForeign_gomaasapi_allocates_starts_and_releases(t *testing.T) {
	t.Parallel()
	cfg := maassim.DefaultConfig(2, 2, 1)
	c, m := juju(t, cfg)
	id := m.compose("juju-0", "")
	all, err := c.Machines(gomaasapi.MachinesArgs{})
	require.NoError(t, err)
	assert.Len(t, all, 4, "two hosts, a bare-metal machine and the VM")

	vm, matches, err := c.AllocateMachine(gomaasapi.AllocateMachineArgs{SystemId: id, AgentName: "juju"})
	require.NoError(t, err)
	assert.Empty(t, matches.Interfaces)
	require.NoError(t, vm.SetOwnerData(map[string]string{"juju-model": "m1"}))
	require.NoError(t, vm.Start(gomaasapi.StartArgs{DistroSeries: "jammy", UserData: "I2Nsb3VkLWNvbmZpZwo="}))
	mine, err := c.Machines(gomaasapi.MachinesArgs{AgentName: "juju", OwnerData: map[string]string{"juju-model": "m1"}})
	require.NoError(t, err)
	require.Len(t, mine, 1)
	assert.Equal(t, "Deployed", mine[0].StatusName())
	assert.Equal(t, "on", mine[0].PowerState())
	assert.NotEmpty(t, mine[0].IPAddresses())
	assert.NotEmpty(t, mine[0].BootInterface().Links())
	assert.Equal(t, "default", mine[0].Pool().Name())
	assert.NotEmpty(t, mine[0].BlockDevices())
	require.NoError(t, c.ReleaseMachines(gomaasapi.ReleaseMachinesArgs{SystemIDs: []string{id}}))
	mine, err = c.Machines(gomaasapi.MachinesArgs{AgentName: "juju"})
	require.NoError(t, err)
	assert.Empty(t, mine)
}

func TestForeign_gomaasapi_takes_bare_metal_by_constraints(t *testing.T) {
	t.Parallel()
	cfg := maassim.DefaultConfig(0, 2, 2)
	cfg.Metal[1].Tags = []string{"fast"}
	c, _ := juju(t, cfg)
	metal, _, err := c.AllocateMachine(gomaasapi.AllocateMachineArgs{MinCPUCount: 4, MinMemory: 4096, Zone: "az2", Tags: []string{"fast"}, Pool: "default"})
	require.NoError(t, err)
	assert.Equal(t, "metal-2", metal.Hostname())
	assert.Equal(t, 16, metal.CPUCount())
	_, _, err = c.AllocateMachine(gomaasapi.AllocateMachineArgs{MinCPUCount: 4, Zone: "az2"})
	assert.True(t, gomaasapi.IsNoMatchError(err), "%v", err)
}

func TestForeign_gomaasapi_is_told_no_in_ways_that_it_knows(t *testing.T) {
	t.Parallel()
	c, m := juju(t, maassim.DefaultConfig(1, 1, 0))
	err := c.ReleaseMachines(gomaasapi.ReleaseMachinesArgs{SystemIDs: []string{"nosuch"}})
	assert.True(t, gomaasapi.IsBadRequestError(err), "%v", err)
	host, _ := m.Machine("lxd-1")
	plainUser, err := gomaasapi.NewController(gomaasapi.ControllerArgs{BaseURL: m.base + "/MAAS", APIKey: m.UserAPIKey()})
	require.NoError(t, err)
	err = plainUser.ReleaseMachines(gomaasapi.ReleaseMachinesArgs{SystemIDs: []string{host.SystemID}})
	assert.True(t, gomaasapi.IsPermissionError(err), "%v", err)
	_, err = gomaasapi.NewController(gomaasapi.ControllerArgs{BaseURL: m.base + "/MAAS", APIKey: "a:b:c"})
	assert.True(t, gomaasapi.IsPermissionError(err), "%v", err)
}
