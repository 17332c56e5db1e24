package relocation_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/cmd/maaslxd/internal/relocation"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
	"github.com/capmaas/capmaas/proto/provisionertest"
)

// want is a VM of so many cores in a zone, or any where it is empty.
func want(name string, cores int32, zone string) relocation.Want {
	request := &lxdprovisionerv1.SelectHostRequest{
		VmName:    name,
		Resources: &lxdprovisionerv1.VMResources{Cores: cores, MemoryMib: 2048, Disks: []*lxdprovisionerv1.Disk{{SizeGb: 10}}},
		Group:     &lxdprovisionerv1.Group{Key: "group"},
	}
	if zone != "" {
		request.Placement = &lxdprovisionerv1.Placement{Zone: &zone}
	}
	return relocation.Want{VM: &lxdprovisionerv1.VM{Name: name}, Request: request}
}

// places asks for places of the VMs of host "full" in a region, by VM.
func places(t *testing.T, hosts []provisionertest.Host, wants ...relocation.Want) map[string]string {
	t.Helper()
	fake := provisionertest.New(provisionertest.Config{Hosts: append(hosts, provisionertest.Host{Name: "full", Zone: "az1", Pool: "lxd"})})
	client := lxdprovisionerv1.NewLXDProvisionerClient(fake.Dial(t))
	answer, err := client.ListHosts(t.Context(), &lxdprovisionerv1.ListHostsRequest{})
	require.NoError(t, err)
	plan, err := relocation.Plan(t.Context(), client, fake.HostID("full"), answer.GetHosts(), wants)
	require.NoError(t, err)
	got := map[string]string{}
	for _, p := range plan {
		got[p.VM.GetName()] = p.Host.GetHostName()
		if p.Host == nil {
			assert.NotEmpty(t, p.Why, p.VM.GetName())
		}
		if p.Elsewhere != nil {
			got[p.VM.GetName()] += "elsewhere " + p.Elsewhere.GetHostName()
		}
	}
	again, err := client.ListHosts(t.Context(), &lxdprovisionerv1.ListHostsRequest{})
	require.NoError(t, err)
	for i, h := range again.GetHosts() {
		assert.Equal(t, answer.GetHosts()[i].GetAvailable().GetCores(), h.GetAvailable().GetCores(), "nothing is noted")
	}
	return got
}

func TestPlan_never_chooses_the_host_that_is_drained(t *testing.T) {
	t.Parallel()
	got := places(t, []provisionertest.Host{{Name: "a", Zone: "az1", Pool: "lxd", Cores: 4}}, want("vm", 4, ""))
	assert.Equal(t, map[string]string{"vm": "a"}, got)
}

func TestPlan_counts_what_it_has_given_away(t *testing.T) {
	t.Parallel()
	got := places(t, []provisionertest.Host{{Name: "a", Zone: "az1", Pool: "lxd", Cores: 6}}, want("small", 2, ""), want("big", 4, ""), want("much", 4, ""))
	assert.Equal(t, "a", got["big"], "one of both has its place")
	assert.Empty(t, got["much"])
	assert.Equal(t, "a", got["small"], "what is left is enough for a small one")
}

func TestPlan_keeps_a_zone_and_tells_of_others(t *testing.T) {
	t.Parallel()
	got := places(t, []provisionertest.Host{{Name: "b", Zone: "az2", Pool: "lxd"}}, want("tied", 4, "az1"), want("free", 4, ""))
	assert.Equal(t, map[string]string{"tied": "elsewhere b", "free": "b"}, got)
}

func TestPlan_keeps_a_group_apart(t *testing.T) {
	t.Parallel()
	got := places(t, []provisionertest.Host{{Name: "b", Zone: "az2", Pool: "lxd"}, {Name: "c", Zone: "az3", Pool: "lxd"}}, want("one", 4, ""), want("two", 4, ""))
	assert.NotEqual(t, got["one"], got["two"])
}
