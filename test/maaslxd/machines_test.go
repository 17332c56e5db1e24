package maaslxd_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/utils/ptr"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/services/maassim"
	"github.com/capmaas/capmaas/test/stack"
)

// What programs read of the answers.
type (
	use      struct{ Total, Limit, Taken, Free int64 }
	hostList struct {
		Zones []struct {
			Name          string
			Hosts, Usable int
			Cores         use
		}
		Hosts []struct {
			Name, Zone, Project string
			Cores, MemoryMiB    use
			Unusable            *struct{ Reason, Message, WhatToDo string }
		}
	}
	vmList struct {
		VMs []struct {
			Name, Host, Zone, State, Power string
			Cores                          int32
			Addresses                      []string
			Owner                          *struct{ Namespace, Cluster, Machine string }
		}
	}
	condition   struct{ Type, Status, Reason, WhatToDo string }
	explanation struct {
		Up                                       bool
		Name, Mode, Machine, Cluster, ProviderID string
		Verdict                                  *condition
		Host                                     *struct{ Name, Zone string }
		MAAS                                     *struct {
			State, Power string
			Claimed      *bool
		}
		Trouble  *struct{ Message, WhatToDo string }
		Attempts []struct {
			Name, Host, Outcome string
			Number              int32
		}
		Events []struct{ Reason, Message string }
	}
	move struct {
		VM                                                      struct{ Name string }
		Machine, MaasMachine, To, ToZone, Elsewhere, Note, Zone string
		ControlPlane, Fits                                      bool
	}
	drainPlan struct {
		Fits, Informed bool
		Moves          []move
	}
)

// rack has four usable hosts in three zones, one that is off, and one that is being worked on.
func rack() maassim.Config {
	cfg := maassim.DefaultConfig(4, 3, 1)
	off := cfg.Hosts[0]
	off.Name, off.Zone, off.Status = "lxd-off", "az2", "ready"
	repaired := cfg.Hosts[0]
	repaired.Name, repaired.Zone, repaired.Tags = "lxd-repaired", "az3", []string{"maas-lxd-host-maintenance"}
	cfg.Hosts = append(cfg.Hosts, off, repaired)
	return cfg
}

func TestMaaslxd_tells_of_a_cluster_from_its_hosts_to_its_machines(t *testing.T) {
	t.Parallel()
	b := newBed(t, rack())
	b.awake(t)
	for _, name := range []string{"cp-0", "cp-1", "cp-2"} {
		b.makeVM(t, name, 4, true, "")
	}
	b.awaitUp(t, "cp-0", "cp-1", "cp-2")
	host := ptr.Deref(b.machine(t, "cp-0").Status.LXDHost, "")

	t.Run("hosts_says_how_full_they_are_and_why_one_is_unusable", func(t *testing.T) {
		hosts := decode[hostList](t, b, "hosts")
		require.Len(t, hosts.Hosts, 6)
		unusable, taken := map[string]string{}, int64(0)
		for _, h := range hosts.Hosts {
			taken += h.Cores.Taken
			assert.Equal(t, h.Cores.Limit-h.Cores.Taken, h.Cores.Free)
			if h.Unusable != nil {
				unusable[h.Name] = h.Unusable.Reason
				assert.NotEmpty(t, h.Unusable.Message)
				assert.NotEmpty(t, h.Unusable.WhatToDo)
			}
		}
		assert.Equal(t, map[string]string{"lxd-off": "HOST_NOT_DEPLOYED", "lxd-repaired": "HOST_MAINTENANCE"}, unusable)
		assert.Equal(t, int64(12), taken)
		require.Len(t, hosts.Zones, 3)
		assert.Equal(t, 1, hosts.Zones[1].Usable)
		assert.Equal(t, 2, hosts.Zones[1].Hosts)
	})
	t.Run("hosts_is_a_table_without_colours_where_nobody_sits_at_a_terminal", func(t *testing.T) {
		got := b.run(t, "hosts", "--zone", "az2")
		assert.Equal(t, 0, got.status, got.err)
		assert.Contains(t, got.out, "Unusable:")
		assert.NotContains(t, got.out, "\x1b")
		assert.NotContains(t, got.out, "az1")
		assert.Empty(t, got.err)
	})
	t.Run("vms_says_whose_they_are", func(t *testing.T) {
		vms := decode[vmList](t, b, "vms", "--cluster", b.namespace+"/"+clusterName)
		require.Len(t, vms.VMs, 3)
		for i, name := range []string{"cp-0", "cp-1", "cp-2"} {
			vm := vms.VMs[i]
			require.NotNil(t, vm.Owner)
			assert.Equal(t, name, vm.Owner.Machine)
			assert.Equal(t, "Deployed", vm.State)
			assert.Equal(t, int32(4), vm.Cores)
			assert.NotEmpty(t, vm.Addresses)
		}
		assert.Len(t, decode[vmList](t, b, "vms", "--host", host).VMs, 1)
		assert.Empty(t, decode[vmList](t, b, "vms", "--cluster", "beta").VMs)
	})
	t.Run("explain_follows_a_machine_that_is_up_to_MAAS", func(t *testing.T) {
		var e explanation
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			e = decode[explanation](t, b, "explain", "cp-0")
			assert.Nil(c, e.Verdict, "its address enters DNS some time after it is up")
		}, patience, glance)
		assert.True(t, e.Up)
		assert.Nil(t, e.Trouble)
		assert.Equal(t, clusterName, e.Cluster)
		assert.Equal(t, "cp-0", e.Machine)
		require.NotNil(t, e.Host)
		assert.Equal(t, host, e.Host.Name)
		require.NotNil(t, e.MAAS)
		assert.Equal(t, "Deployed", e.MAAS.State)
		assert.True(t, ptr.Deref(e.MAAS.Claimed, false), "it is proved to be ours")
		require.Len(t, e.Attempts, 1)
		assert.Equal(t, "in use", e.Attempts[0].Outcome)
		vm := b.machine(t, "cp-0").Status.VMName
		assert.Contains(t, b.run(t, "explain", vm).out, "MaasMachine "+b.namespace+"/cp-0 is up", "by the name of its VM, too")
	})
	t.Run("explain_says_why_a_machine_is_not_up", func(t *testing.T) {
		b.makeVM(t, "huge", 400, false, "")
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			e := decode[explanation](t, b, "explain", "huge")
			if assert.NotNil(c, e.Verdict) {
				assert.Equal(c, infrav1.LXDHostSelectedCondition, e.Verdict.Type)
				assert.Equal(c, "BAD_RESOURCES", e.Verdict.Reason)
				assert.Contains(c, e.Verdict.WhatToDo, "at least one host has")
			}
		}, patience, glance)
		got := b.run(t, "explain", "huge")
		assert.Contains(t, got.out, "is not up: BAD_RESOURCES")
		assert.Contains(t, got.out, "no host is large enough for 400 cores")
		require.NoError(t, b.client.Delete(t.Context(), b.machine(t, "huge")))
	})
	t.Run("explain_tells_of_the_host_that_refused", func(t *testing.T) {
		require.NoError(t, b.sim.AddFaults(maassim.Fault{Operation: "vm-hosts.compose", Preset: "host-down", Count: 1}))
		b.makeVM(t, "twice", 2, false, "")
		b.awaitUp(t, "twice")
		e := decode[explanation](t, b, "explain", "twice")
		require.Len(t, e.Attempts, 2)
		assert.Contains(t, e.Attempts[0].Outcome, "given up")
		assert.Equal(t, "in use", e.Attempts[1].Outcome)
		assert.NotEqual(t, e.Attempts[0].Host, e.Attempts[1].Host)
		assert.NotEqual(t, e.Attempts[0].Name, e.Attempts[1].Name)
	})
	t.Run("explain_follows_bare_metal_too", func(t *testing.T) {
		require.NoError(t, stack.MakeMachine(t.Context(), b.client, stack.MachinePlan{
			Namespace: b.namespace, Name: "metal", Cluster: clusterName,
			Spec: infrav1.MaasMachineSpec{MinCPU: new(int32(2)), MinMemory: new(int32(2048)), Image: "ubuntu/jammy"},
		}))
		b.awaitUp(t, "metal")
		e := decode[explanation](t, b, "explain", "metal")
		assert.Equal(t, "bare-metal", e.Mode)
		assert.Nil(t, e.Host)
		assert.Nil(t, e.Trouble)
		require.NotNil(t, e.MAAS)
		assert.Equal(t, "Deployed", e.MAAS.State)
	})
	t.Run("explain_tells_what_Kubernetes_has_where_the_service_does_not_answer", func(t *testing.T) {
		got := call(t, "", "explain", "cp-1", "--kubeconfig", b.kubeconfig, "-n", b.namespace, "--insecure", "--address", "127.0.0.1:1")
		assert.Equal(t, 0, got.status, got.err)
		assert.Contains(t, got.out, "cp-1 is up")
		assert.Contains(t, got.out, "connection refused")
		assert.Contains(t, got.out, "what to do")
	})
	t.Run("drain_finds_a_place_for_every_machine_of_a_host", func(t *testing.T) {
		before := b.sim.Requests()
		plan := decode[drainPlan](t, b, "drain", host, "--plan")
		assert.True(t, plan.Fits)
		assert.True(t, plan.Informed)
		at := slices.IndexFunc(plan.Moves, func(m move) bool { return m.Machine == b.namespace+"/cp-0" })
		require.GreaterOrEqual(t, at, 0, "%+v", plan.Moves)
		move := plan.Moves[at]
		assert.True(t, move.ControlPlane)
		assert.NotEmpty(t, move.To)
		assert.NotEqual(t, host, move.To)
		for operation, count := range b.sim.Requests() {
			if strings.Contains(operation, "compose") || strings.Contains(operation, "delete") {
				assert.Equal(t, before[operation], count, "a plan changes nothing: %s", operation)
			}
		}
		assert.Contains(t, b.run(t, "drain", host, "--plan").out, "kubectl delete machine -n "+b.namespace+" cp-0")
	})
	t.Run("drain_wants_to_be_told_that_it_only_plans", func(t *testing.T) {
		got := b.run(t, "drain", host)
		assert.Equal(t, 2, got.status)
		assert.Contains(t, got.err, "add --plan")
	})
	t.Run("what_is_not_there_is_an_error", func(t *testing.T) {
		for _, args := range [][]string{{"explain", "nobody"}, {"drain", "nowhere", "--plan"}} {
			got := b.run(t, args...)
			assert.Equal(t, 1, got.status)
			assert.Contains(t, got.err, `"`+args[1]+`"`)
			assert.Empty(t, got.out)
		}
	})
}

func TestMaaslxd_drain_counts_all_machines_of_a_host_together(t *testing.T) {
	t.Parallel()
	cfg := maassim.DefaultConfig(2, 2, 0)
	for i := range cfg.Hosts {
		cfg.Hosts[i].Cores = 8
	}
	b := newBed(t, cfg)
	b.awake(t)
	// Both are on lxd-1. Its machines fit on lxd-2 one by one; together they do not, for a third is there.
	b.makeVM(t, "a", 4, false, "az1")
	b.makeVM(t, "b", 4, false, "az1")
	b.makeVM(t, "c", 4, false, "az2")
	b.awaitUp(t, "a", "b", "c")

	plan := decode[drainPlan](t, b, "drain", "lxd-1", "--plan")
	require.Len(t, plan.Moves, 2)
	assert.False(t, plan.Fits, "their zone has no other host")
	for _, move := range plan.Moves {
		assert.Equal(t, "az1", move.Zone)
		assert.Empty(t, move.To)
		assert.Equal(t, "lxd-2 in az2", move.Elsewhere)
		assert.NotEmpty(t, move.Note)
	}
	got := b.run(t, "drain", "lxd-1", "--plan")
	assert.Equal(t, 1, got.status)
	assert.Contains(t, got.out, "nowhere")

	// Without the objects nothing but the VMs' own zone is known.
	bare := call(t, "", "drain", "vmhost/1", "--plan", "--insecure", "--address", b.service.Address, "--kubeconfig", "/dev/null")
	assert.Contains(t, bare.out, "Without a kubeconfig")
}
