package integration_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/services/maassim"
)

func TestCluster_comes_spread_over_zones_and_goes_without_a_trace(t *testing.T) {
	t.Parallel()
	s := newStack(t, maassim.DefaultConfig(6, 3, 3))
	s.makeCluster(t)
	for _, name := range []string{"cp-0", "cp-1", "cp-2"} {
		s.makeVM(t, name, controlPlane)
	}
	s.makeMetal(t, "w-0")
	s.makeMetal(t, "w-1")
	machines := s.awaitProvisioned(t, 5)

	t.Run("R3.2_the_VMs_of_a_control_plane_are_in_different_zones", func(t *testing.T) {
		zones := map[string]bool{}
		for _, m := range machines {
			if m.Spec.Mode() == infrav1.ModeLXD {
				zones[m.Status.FailureDomain] = true
			}
		}
		assert.Len(t, zones, 3)
	})
	t.Run("R1.2_a_VM_is_where_its_status_says", func(t *testing.T) {
		for _, m := range machines {
			if m.Spec.Mode() != infrav1.ModeLXD {
				continue
			}
			vm := s.instance(t, m.Status.VMName)
			assert.Equal(t, vm.Host, ptr.Deref(m.Status.LXDHost, ""))
			assert.Equal(t, 4, vm.Cores)
			assert.Equal(t, 8192, vm.MemoryMiB)
			require.NotNil(t, m.Status.VMResourceUsage)
			assert.Equal(t, int32(4), m.Status.VMResourceUsage.AllocatedCores)
			assert.Equal(t, int32(8192), m.Status.VMResourceUsage.AllocatedMemory)
			assert.Equal(t, int32(40), m.Status.VMResourceUsage.AllocatedDisk)
		}
	})
	t.Run("R1.3_bare_metal_is_a_physical_machine", func(t *testing.T) {
		for _, m := range machines {
			if m.Spec.Mode() == infrav1.ModeBareMetal {
				inMAAS, ok := s.sim.Machine(ptr.Deref(m.Spec.SystemID, ""))
				require.True(t, ok)
				assert.Empty(t, inMAAS.Host, "%s is a VM", m.Name)
			}
		}
	})
	t.Run("R8.4_provider_ids_tell_the_modes_apart_and_are_unique", func(t *testing.T) {
		ids := map[string]bool{}
		for _, m := range machines {
			id := ptr.Deref(m.Spec.ProviderID, "")
			want := "maas:///"
			if m.Spec.Mode() == infrav1.ModeLXD {
				want = "maas-lxd:///"
			}
			assert.Contains(t, id, want)
			ids[id] = true
		}
		assert.Len(t, ids, 5)
	})
	t.Run("R5.2_a_VM_is_an_ordinary_Machine_and_R5.1_its_spec_stays_as_it_was", func(t *testing.T) {
		for _, m := range machines {
			s.eventually(t, func(c *assert.CollectT) {
				machine := s.machine(m.Name)
				require.NoError(c, s.client.Get(t.Context(), client.ObjectKeyFromObject(machine), machine))
				assert.Equal(c, ptr.Deref(m.Spec.ProviderID, ""), machine.Spec.ProviderID)
				assert.Equal(c, clusterv1.MachineAddresses(m.Status.Addresses), machine.Status.Addresses)
				assert.Equal(c, m.Status.FailureDomain, machine.Status.FailureDomain)
				assert.Empty(c, machine.Spec.FailureDomain, "nobody chose for Cluster API")
				assert.Equal(c, m.Name, machine.Spec.InfrastructureRef.Name)
			})
		}
	})
	t.Run("R5.3_status_says_the_same_things_of_both_modes", func(t *testing.T) {
		for _, m := range machines {
			assert.Equal(t, "Deployed", string(ptr.Deref(m.Status.MachineState, "")), m.Name)
			assert.True(t, m.Status.MachinePowered, m.Name)
			assert.NotEmpty(t, m.Status.Addresses, m.Name)
			assert.NotEmpty(t, m.Status.FailureDomain, m.Name)
			assert.True(t, m.Status.Ready, m.Name)
		}
	})
	t.Run("MAAS_got_the_user_data_as_it_was", func(t *testing.T) {
		for _, m := range machines {
			assert.Contains(t, s.userData(t, ptr.Deref(m.Spec.SystemID, "")), joinToken)
		}
	})
	t.Run("X8.2_control_planes_are_in_the_DNS_record_once_their_API_server_is_healthy", func(t *testing.T) {
		s.eventually(t, func(c *assert.CollectT) {
			records := s.sim.DNSRecords()
			if assert.Len(c, records, 1) {
				assert.Len(c, records[0].IPs, 3)
			}
		})
	})
	t.Run("R5.4_deleting_leaves_nothing", func(t *testing.T) {
		s.deleteCluster(t)
		s.assertNothingLeft(t)
	})
	s.assertNoSecrets(t)
}

func TestMachine_of_a_failure_domain_is_placed_there(t *testing.T) {
	t.Parallel()
	s := newStack(t, maassim.DefaultConfig(3, 3, 0))
	s.makeCluster(t)
	s.makeVM(t, "vm-0", func(_ *infrav1.MaasMachine, m *clusterv1.Machine) { m.Spec.FailureDomain = "az2" })
	machines := s.awaitProvisioned(t, 1)
	assert.Equal(t, "az2", machines[0].Status.FailureDomain, "R3.1")
	assert.Equal(t, "lxd-2", ptr.Deref(machines[0].Status.LXDHost, ""))
	inMAAS, ok := s.sim.Machine(ptr.Deref(machines[0].Spec.SystemID, ""))
	require.True(t, ok)
	assert.Equal(t, "az2", inMAAS.Zone, "MAAS's own default is its default zone")
}
