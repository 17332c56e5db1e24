package maasmachine

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/controllers/internal/provisioner"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// stage is where a reconcile came to. What lies before it is done, what lies after it has not begun.
type stage int

const (
	stageInfrastructure stage = iota // waits for the cluster's infrastructure
	stageBootstrap                   // waits for the user data
	stageStaticIP                    // waits for somebody to fill in the address
	stageTurn                        // waits for its turn among the cluster's machines
	stageHost                        // looks for an LXD host
	stageCompose                     // the VM is being made; for bare metal, a machine is being found
	stageDeploy                      // MAAS deploys
	stageRunning                     // MAAS has deployed
	stageDeleting                    // the machine is being given back
	stageGone                        // it is proved to be gone
)

// scope is what the phases of one reconcile share. Phases write to it; status.go reads it.
type scope struct {
	// machine is the object under the patch helper. Its annotations are never changed here: attempts are stored by a patch
	// of their own, and a second patch without lock would undo what it guards.
	machine *infrav1.MaasMachine
	// owner is the Machine. It may be nil while the object is being deleted.
	owner *clusterv1.Machine
	// cluster may be nil while the object is being deleted.
	cluster *clusterv1.Cluster
	// infra is the MaasCluster. It may be nil while the object is being deleted.
	infra *infrav1.MaasCluster

	// record is the machine as it was read uncached; nil where nothing is going to be made or deleted.
	record *record
	// userData is the bootstrap data. It holds join tokens: it goes into DeployVM and DeployMachine and nowhere else.
	userData []byte

	// stage is where the phases stopped, and problem why; problem's zero value means that all went well.
	stage   stage
	problem provisioner.Outcome
	// waiting says in a sentence what is waited for; empty where the stage says it all.
	waiting string
	// overdue says since when MAAS has been at it and what to look at, once that is longer than it should be.
	overdue string

	// current is the attempt that counts, as far as one is known.
	current *attempt
	// justSent says that the attempt's sentAt was stored in this reconcile and nothing has been sent since.
	justSent bool
	// found is what the service said of the VM or the physical machine in this reconcile; nil where it was not asked or
	// did not answer.
	found *found
	// absent says that the machine is proved not to be in MAAS.
	absent bool
	// keepStatus leaves the status as it is: nothing was learnt.
	keepStatus bool
	// nodeConflict says that this machine's Node has another provider ID.
	nodeConflict string
}

// found is a VM or a physical machine as the service described it.
type found struct {
	systemID, providerID, zone string
	host, project              string
	resources                  *lxdprovisionerv1.VMResources
	status                     *lxdprovisionerv1.MachineStatus
}

func foundVM(vm *lxdprovisionerv1.VM) *found {
	return &found{
		systemID: vm.GetSystemId(), providerID: vm.GetProviderId(), zone: vm.GetZone(),
		host: vm.GetHostName(), project: vm.GetProject(), resources: vm.GetResources(), status: vm.GetStatus(),
	}
}

func foundMachine(m *lxdprovisionerv1.Machine) *found {
	return &found{systemID: m.GetSystemId(), providerID: m.GetProviderId(), zone: m.GetZone(), status: m.GetStatus()}
}

func (f *found) state() lxdprovisionerv1.MachineState { return f.status.GetState() }

// isVM says whether the machine is a VM.
func (s *scope) isVM() bool { return s.machine.Spec.Mode() == infrav1.ModeLXD }

// isControlPlane says whether the machine belongs to a control plane.
func (s *scope) isControlPlane() bool {
	if s.owner != nil {
		return util.IsControlPlaneMachine(s.owner)
	}
	_, ok := s.machine.Labels[clusterv1.MachineControlPlaneLabel]
	return ok
}

// wasDeployed says whether MAAS had ever deployed the machine: from then on it is never replaced behind Cluster API's
// back. The provider ID is written when that happens, and unlike status it survives clusterctl move.
func wasDeployed(m *infrav1.MaasMachine) bool {
	return ptr.Deref(m.Spec.ProviderID, "") != "" || ptr.Deref(m.Status.Initialization.Provisioned, false)
}

// waitForCache stops where the API server knows that the machine was deployed and the cache does not yet.
func (r *Reconciler) waitForCache(s *scope) step {
	s.keepStatus = true
	return stopFor(r.Delays.Busy)
}

// hostLost says whether nothing is known of the machine because the host of its VM is not there.
func (s *scope) hostLost() bool { return s.problem.Is(lxdprovisionerv1.Reason_REASON_HOST_UNREACHABLE) }

// step is what a phase returns: go on, or stop and look again after a while. A stop without a time waits for an event.
type step struct {
	stop  bool
	after time.Duration
}

var proceed = step{}

func stopFor(after time.Duration) step { return step{stop: true, after: after} }

// waitAt stops at a stage for something that an event will announce.
func (s *scope) waitAt(at stage, what string) step {
	s.stage, s.waiting = at, what
	return step{stop: true}
}

// now is the time as it is stored in an annotation.
func now(clock func() time.Time) *metav1.Time {
	t := metav1.NewTime(clock().Truncate(time.Second))
	return &t
}
