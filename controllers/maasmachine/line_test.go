package maasmachine_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/controllers/app"
	"github.com/capmaas/capmaas/controllers/internal/managertest"
	"github.com/capmaas/capmaas/proto/errorinfo"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
	"github.com/capmaas/capmaas/proto/provisionertest"
)

// composed gives for whom VMs were composed, in the order in which they first were.
func composed(bed *managertest.Bed) []string {
	var order []string
	seen := map[string]bool{}
	for _, request := range provisionertest.Requests[*lxdprovisionerv1.ComposeVMRequest](bed.Fake) {
		if name := request.GetOwner().GetMachine(); !seen[name] {
			seen[name] = true
			order = append(order, name)
		}
	}
	return order
}

func limitedBed(t *testing.T, most int) *managertest.Bed {
	t.Helper()
	bed := managertest.NewWithoutManager(t, provisionertest.Config{CommissionFor: time.Hour})
	options := bed.Options()
	options.CreationsPerCluster = most
	bed.StartManagerWith(t, options)
	bed.ProvisionCluster(t)
	return bed
}

func TestLine_makes_a_bounded_number_of_machines_at_a_time_in_their_order(t *testing.T) {
	t.Parallel()
	bed := limitedBed(t, 2)
	// Who comes while there is room does not wait for those that were made before and have not come.
	for _, name := range []string{"worker-0", "worker-1"} {
		bed.CreateMachine(t, name, managertest.LXD())
		bed.WaitCondition(t, bed.OfMachine(name), infrav1.MachineDeployedCondition, infrav1.MachineDeployStartedReason)
	}
	for _, name := range []string{"worker-2", "worker-3"} {
		bed.CreateMachine(t, name, managertest.LXD())
		condition := bed.WaitCondition(t, bed.OfMachine(name), infrav1.MachineDeployedCondition, infrav1.WaitingForTurnReason)
		assert.Contains(t, condition.Message, "2 machines of the cluster are made at a time")
	}
	bed.CreateMachine(t, "zz-cp", managertest.LXD(), managertest.ControlPlane)
	bed.WaitCondition(t, bed.OfMachine("zz-cp"), infrav1.MachineDeployedCondition, infrav1.WaitingForTurnReason)
	assert.ElementsMatch(t, []string{"worker-0", "worker-1"}, composed(bed))
	assert.InDelta(t, 2, counted(t, "capmaas_creations", "namespace", bed.Namespace, "state", "making"), 0)
	assert.InDelta(t, 3, counted(t, "capmaas_creations", "namespace", bed.Namespace, "state", "waiting"), 0)

	finish := func(name string) {
		vm := attemptsOf(t, bed.Machine(t, name))[0].Name
		require.True(t, bed.Fake.SetState(vm, lxdprovisionerv1.MachineState_MACHINE_STATE_READY, ""))
		bed.WaitProvisioned(t, name)
	}
	next := func(want ...string) {
		managertest.Eventually(t, func(c *managertest.Check) { assert.Equal(c, want, composed(bed)[2:]) }, "the next one")
	}
	finish("worker-0")
	next("zz-cp")
	finish("worker-1")
	next("zz-cp", "worker-2")
	bed.DeleteMachine(t, "worker-2")
	next("zz-cp", "worker-2", "worker-3")
}

func TestLine_goes_on_with_what_was_being_made_when_the_manager_died(t *testing.T) {
	t.Parallel()
	bed := limitedBed(t, 1)
	bed.CreateMachine(t, "worker-0", managertest.LXD())
	bed.WaitCondition(t, bed.OfMachine("worker-0"), infrav1.MachineDeployedCondition, infrav1.MachineDeployStartedReason)
	bed.StopManager()
	bed.CreateMachine(t, "a-cp", managertest.LXD(), managertest.ControlPlane)
	options := bed.Options()
	options.CreationsPerCluster = 1
	bed.StartManagerWith(t, options)
	bed.WaitCondition(t, bed.OfMachine("a-cp"), infrav1.MachineDeployedCondition, infrav1.WaitingForTurnReason)
	assert.Equal(t, []string{"worker-0"}, composed(bed))
}

func TestLine_counts_bare_metal_that_was_being_made_when_the_manager_died(t *testing.T) {
	t.Parallel()
	const filter = "new"
	for name, restart := range map[string]func(*provisionertest.Fake, *app.Options){
		"before_it_is_looked_at": func(_ *provisionertest.Fake, options *app.Options) { options.WatchFilter = filter },
		"while_MAAS_is_silent": func(fake *provisionertest.Fake, _ *app.Options) {
			fake.FailEvery("GetMachine", provisionertest.Fault(errorinfo.Unavailable, lxdprovisionerv1.Reason_REASON_MAAS_UNAVAILABLE, "MAAS is silent"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bed := managertest.NewWithoutManager(t, provisionertest.Config{DeployFor: time.Hour})
			options := bed.Options()
			options.CreationsPerCluster = 1
			bed.StartManagerWith(t, options)
			bed.ProvisionCluster(t)
			bed.CreateMachine(t, "worker-0", managertest.Metal())
			managertest.Eventually(t, func(c *managertest.Check) {
				assert.Len(c, provisionertest.Requests[*lxdprovisionerv1.DeployMachineRequest](bed.Fake), 1)
			}, "it is being deployed")
			bed.StopManager()
			bed.CreateMachine(t, "a-cp", managertest.Metal(), managertest.ControlPlane, func(m *clusterv1.Machine, infra *infrav1.MaasMachine) {
				m.Labels[clusterv1.WatchLabel], infra.Labels[clusterv1.WatchLabel] = filter, filter
			})
			restart(bed.Fake, &options)
			bed.StartManagerWith(t, options)
			bed.WaitCondition(t, bed.OfMachine("a-cp"), infrav1.MachineDeployedCondition, infrav1.WaitingForTurnReason)
			for _, request := range provisionertest.Requests[*lxdprovisionerv1.AllocateMachineRequest](bed.Fake) {
				assert.Equal(t, "worker-0", request.GetOwner().GetMachine())
			}
		})
	}
}

func TestLine_one_that_finds_no_host_keeps_nobody_from_theirs(t *testing.T) {
	t.Parallel()
	bed := limitedBed(t, 1)
	huge := managertest.LXD()
	huge.MinCPU = new(int32(512))
	bed.CreateMachine(t, "a-huge", huge)
	bed.WaitCondition(t, bed.OfMachine("a-huge"), infrav1.MachineDeployedCondition, infrav1.MachineDeployFailedReason)
	bed.CreateMachine(t, "small", managertest.LXD())
	managertest.Eventually(t, func(c *managertest.Check) { assert.Equal(c, []string{"small"}, composed(bed)) }, "there is room for it")
	require.NoError(t, client.IgnoreNotFound(bed.Client.Delete(t.Context(), bed.Machine(t, "a-huge"))))
}
