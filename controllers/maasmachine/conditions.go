package maasmachine

import (
	"cmp"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/controllers/internal/provisioner"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// failing says whether the phase stopped at something that waiting alone does not solve.
func (s *scope) failing() bool {
	return s.problem.Action != provisioner.Done && s.problem.Action != provisioner.Wait
}

// failed says whether the phase is called failed: a MAAS that is away, or a service, says nothing against the machine.
func (s *scope) failed() bool { return s.failing() && !s.problem.Unanswered }

// says is the message: the answer of the service where there is one, else what is waited for.
func (s *scope) says() string {
	if s.problem.Action == provisioner.Done {
		return s.waiting + s.overdue
	}
	return s.problem.Reason + ": " + s.problem.Message + s.overdue
}

// machineDeployed is the condition that VMs and bare metal share.
func (s *scope) machineDeployed() metav1.Condition {
	is := func(reason string) metav1.Condition {
		return condition(infrav1.MachineDeployedCondition, metav1.ConditionFalse, reason, s.says())
	}
	failedOr := func(reason string) metav1.Condition {
		switch {
		case s.failed():
			reason = infrav1.MachineDeployFailedReason
		case s.overdue != "":
			reason = infrav1.OverdueReason
		}
		return is(reason)
	}
	switch s.stage {
	case stageInfrastructure:
		return is(infrav1.WaitingForClusterInfrastructureReason)
	case stageBootstrap:
		return is(infrav1.WaitingForBootstrapDataReason)
	case stageStaticIP:
		return is(infrav1.WaitingForStaticIPReason)
	case stageTurn:
		return is(infrav1.WaitingForTurnReason)
	case stageHost, stageCompose:
		return failedOr(infrav1.MachineDeployStartedReason)
	case stageDeploy:
		return failedOr(infrav1.MachineDeployingReason)
	case stageRunning:
		return s.running()
	case stageGone:
		return is(infrav1.MachineDeletedReason)
	default:
		return is(infrav1.MachineDeletingReason)
	}
}

// running is MachineDeployed of a machine that was deployed once.
func (s *scope) running() metav1.Condition {
	is := func(status metav1.ConditionStatus, reason, message string) metav1.Condition {
		return condition(infrav1.MachineDeployedCondition, status, reason, message)
	}
	switch {
	case s.absent && s.isVM():
		return is(metav1.ConditionFalse, infrav1.VMMissingReason, "MAAS has no such VM; it is not made again, Cluster API replaces the Machine")
	case s.absent:
		return is(metav1.ConditionFalse, infrav1.MachineTerminatedReason, "MAAS holds no machine for this object; somebody released it")
	case s.hostLost():
		return is(metav1.ConditionUnknown, infrav1.HostLostReason, s.says()+"; bring the host back, or delete the Machine to have it replaced")
	case s.found == nil:
		return is(metav1.ConditionUnknown, infrav1.MachineNotFoundReason, s.says())
	case s.nodeConflict != "":
		return is(metav1.ConditionFalse, infrav1.NodeProviderIDMismatchReason, s.nodeConflict)
	}
	switch s.found.state() {
	case lxdprovisionerv1.MachineState_MACHINE_STATE_DEPLOYED:
		switch s.found.status.GetPower() {
		case lxdprovisionerv1.PowerState_POWER_STATE_OFF:
			return is(metav1.ConditionFalse, infrav1.MachinePoweredOffReason, s.waiting)
		case lxdprovisionerv1.PowerState_POWER_STATE_ERROR:
			return is(metav1.ConditionTrue, infrav1.MachineDeployedReason, "MAAS cannot tell whether the machine is on: its host or its power driver does not answer")
		default:
			return is(metav1.ConditionTrue, infrav1.MachineDeployedReason, "")
		}
	case lxdprovisionerv1.MachineState_MACHINE_STATE_NEW, lxdprovisionerv1.MachineState_MACHINE_STATE_READY,
		lxdprovisionerv1.MachineState_MACHINE_STATE_ALLOCATED, lxdprovisionerv1.MachineState_MACHINE_STATE_RELEASING:
		return is(metav1.ConditionFalse, infrav1.MachineTerminatedReason, maasSays(s.found.status))
	default:
		return is(metav1.ConditionUnknown, infrav1.MachineStateUndefinedReason, maasSays(s.found.status))
	}
}

// vmCondition is one of the four conditions of a VM, in the order in which they become True.
type vmCondition struct {
	name string
	// at is the stage that has to be passed, done the reason once it is.
	at   stage
	done string
	// waiting is the reason while the stage is not passed, failed the one where it failed without a reason of the service.
	waiting, failed string
}

// noSpareHost warns of a group that requires a host for each of its VMs and has used up the hosts: Cluster API makes the new
// machine of a roll-out before it deletes the old one (docs/protocol-coverage.md 6.4).
const noSpareHost = "no other host was left for it: with required anti-affinity a roll-out needs one host more than there are machines"

var vmConditions = []vmCondition{
	{infrav1.LXDHostSelectedCondition, stageHost, infrav1.LXDHostSelectedReason, infrav1.WaitingForLXDHostReason, infrav1.LXDHostSelectionFailedReason},
	{infrav1.LXDVMCreatedCondition, stageCompose, infrav1.LXDVMCreatedReason, infrav1.LXDVMComposingReason, infrav1.LXDVMCreationFailedReason},
	{infrav1.LXDResourcesAllocatedCondition, stageCompose, infrav1.LXDResourcesAllocatedReason, infrav1.LXDVMComposingReason, infrav1.LXDVMCreationFailedReason},
	{infrav1.LXDVMDeployedCondition, stageDeploy, infrav1.LXDVMDeployedReason, infrav1.LXDVMDeployStartedReason, infrav1.LXDVMDeployFailedReason},
}

// vmConditions says how far the VM is. While it is being deleted only the last one speaks of that; the others keep what
// they said.
func (s *scope) vmConditions() []metav1.Condition {
	if s.stage == stageDeleting {
		reason := infrav1.MachineDeletingReason
		if s.failed() {
			reason = infrav1.LXDVMDeletionFailedReason
		}
		return []metav1.Condition{condition(infrav1.LXDVMDeployedCondition, metav1.ConditionFalse, reason, s.says())}
	}
	if s.absent {
		return []metav1.Condition{
			condition(infrav1.LXDVMCreatedCondition, metav1.ConditionFalse, infrav1.LXDVMNotFoundReason, "MAAS has no such VM"),
			condition(infrav1.LXDVMDeployedCondition, metav1.ConditionFalse, infrav1.LXDVMNotFoundReason, "MAAS has no such VM"),
		}
	}
	all := make([]metav1.Condition, 0, len(vmConditions))
	for _, c := range vmConditions {
		all = append(all, s.vmCondition(c))
	}
	return all
}

func (s *scope) vmCondition(c vmCondition) metav1.Condition {
	switch {
	case s.stage > c.at:
		return s.passed(c)
	case s.stage == c.at && s.failing():
		return condition(c.name, metav1.ConditionFalse, cmp.Or(s.problem.Reason, c.failed), s.problem.Message)
	case s.stage == c.at:
		return condition(c.name, metav1.ConditionFalse, c.waiting, s.says())
	case c.at == stageHost:
		return condition(c.name, metav1.ConditionFalse, c.waiting, "")
	default:
		return condition(c.name, metav1.ConditionFalse, infrav1.WaitingForLXDHostReason, "")
	}
}

// passed is a condition of a stage that lies behind. The resources are those that MAAS reports, compared with the wanted.
func (s *scope) passed(c vmCondition) metav1.Condition {
	message := ""
	switch {
	case c.at == stageDeploy && s.stage == stageRunning:
		// Two conditions of one thing must not contradict each other.
		if now := s.running(); now.Status != metav1.ConditionTrue {
			return condition(c.name, now.Status, now.Reason, now.Message)
		}
	case c.at == stageHost && s.current != nil:
		message = fmt.Sprintf("VM %s is on host %s", s.current.Name, s.current.HostName)
		if s.current.LastHost {
			message += "; " + noSpareHost
		}
	case c.name == infrav1.LXDResourcesAllocatedCondition:
		has, wants := s.machine.Status.VMResourceUsage, s.machine.Spec.Shape()
		if has == nil {
			return condition(c.name, metav1.ConditionUnknown, c.waiting, "MAAS has not said what the VM has")
		}
		message = fmt.Sprintf("%d cores, %d MiB, %d GB", has.AllocatedCores, has.AllocatedMemory, has.AllocatedDisk)
		if has.AllocatedCores < wants.Cores || has.AllocatedMemory < wants.MemoryMiB || has.AllocatedDisk < wants.DiskGB {
			return condition(c.name, metav1.ConditionFalse, infrav1.LXDVMCreationFailedReason,
				fmt.Sprintf("the VM has %s; %d cores, %d MiB, %d GB were asked for", message, wants.Cores, wants.MemoryMiB, wants.DiskGB))
		}
	}
	return condition(c.name, metav1.ConditionTrue, c.done, message)
}
