package maasmachine

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util/conditions"
	"sigs.k8s.io/cluster-api/util/patch"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/controllers/internal/endpoint"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// ownedConditions are the conditions that only this controller writes.
var ownedConditions = []string{
	clusterv1.ReadyCondition, clusterv1.PausedCondition, infrav1.MachineDeployedCondition, infrav1.DNSAttachedCondition,
	infrav1.LXDHostSelectedCondition, infrav1.LXDVMCreatedCondition, infrav1.LXDResourcesAllocatedCondition, infrav1.LXDVMDeployedCondition,
}

// patchStatus computes the status from the scope and writes it, together with what goes into spec, in one patch. The
// helper writes spec first, so that the provider ID is there before provisioned is.
func (r *Reconciler) patchStatus(ctx context.Context, helper *patch.Helper, s *scope) error {
	if s.keepStatus {
		return nil
	}
	s.setFields()
	before, deployed := conditions.GetReason(s.machine, infrav1.MachineDeployedCondition), s.machineDeployed()
	for _, condition := range s.conditions(deployed) {
		conditions.Set(s.machine, condition)
	}
	conditions.Set(s.machine, s.ready())
	if err := helper.Patch(ctx, s.machine, patch.WithOwnedConditions{Conditions: ownedConditions}); err != nil {
		return fmt.Errorf("patch the status: %w", err)
	}
	r.tellMishap(s, before, deployed)
	return nil
}

// setFields fills in what the service said. What it did not say stays as it was.
func (s *scope) setFields() {
	status := &s.machine.Status
	status.ProvisioningMode = s.machine.Spec.Mode()
	if s.isVM() && s.current != nil {
		status.VMName, status.LXDHost = s.current.Name, &s.current.HostName
	}
	if s.infra != nil && s.isControlPlane() && !endpoint.IsCustom(s.infra) {
		status.DNSAttached = endpoint.Holds(endpoint.Recorded(s.infra), addressesOf(s))
	}
	if s.absent {
		// An address that no machine holds must not stay in DNS: MAAS would make a reservation of it.
		status.Addresses, status.MachinePowered, status.DNSAttached = nil, false, false
	}
	if s.found == nil {
		return
	}
	f := s.found
	status.FailureDomain = f.zone
	status.MachineState = new(infrav1.MachineState(f.status.GetMaasStatus()))
	status.MachinePowered = f.status.GetPower() == lxdprovisionerv1.PowerState_POWER_STATE_ON
	status.Hostname = optional(f.status.GetHostname())
	status.Addresses = addressesOf(s)
	if s.isVM() {
		status.LXDProject = optional(f.project)
		status.VMResourceUsage = usageOf(f.resources)
	}
	if f.state() != lxdprovisionerv1.MachineState_MACHINE_STATE_DEPLOYED || s.stage != stageRunning {
		return
	}
	if ptr.Deref(s.machine.Spec.ProviderID, "") == "" {
		s.machine.Spec.ProviderID = &f.providerID
	}
	s.machine.Spec.SystemID = &f.systemID
	if s.machine.Spec.FailureDomain != nil && f.zone != "" {
		// Cluster API takes what stands here for the failure domain of the Machine, and spreads by it. Where nothing stands
		// the Machine keeps its own.
		s.machine.Spec.FailureDomain = &f.zone
	}
	status.Ready, status.Initialization.Provisioned = true, new(true)
}

// providerID is the stored provider ID, which is never rewritten, else the service's.
func (s *scope) providerID() string {
	if stored := ptr.Deref(s.machine.Spec.ProviderID, ""); stored != "" || s.found == nil {
		return stored
	}
	return s.found.providerID
}

// addressesOf gives the addresses in the existing provider's shape: the full name as external and internal DNS name, each
// IP address as external and internal one.
func addressesOf(s *scope) []clusterv1.MachineAddress {
	if s.found == nil {
		return s.machine.Status.Addresses
	}
	var all []clusterv1.MachineAddress
	add := func(address string, types ...clusterv1.MachineAddressType) {
		for _, t := range types {
			all = append(all, clusterv1.MachineAddress{Type: t, Address: address})
		}
	}
	if fqdn := s.found.status.GetFqdn(); fqdn != "" {
		add(fqdn, clusterv1.MachineExternalDNS, clusterv1.MachineInternalDNS)
	}
	for _, address := range s.found.status.GetAddresses() {
		add(address.GetIp(), clusterv1.MachineExternalIP, clusterv1.MachineInternalIP)
	}
	return all
}

func usageOf(resources *lxdprovisionerv1.VMResources) *infrav1.VMResourceUsage {
	if resources == nil {
		return nil
	}
	usage := &infrav1.VMResourceUsage{AllocatedCores: resources.GetCores(), AllocatedMemory: int32(resources.GetMemoryMib())} //nolint:gosec // the contract's limit of 64 TiB fits
	for _, disk := range resources.GetDisks() {
		usage.AllocatedDisk += int32(disk.GetSizeGb()) //nolint:gosec // the contract's limit of 16 disks of a million GB fits
	}
	return usage
}

// conditions computes every condition but Ready and Paused.
func (s *scope) conditions(deployed metav1.Condition) []metav1.Condition {
	all := []metav1.Condition{deployed}
	if s.isControlPlane() && s.infra != nil {
		all = append(all, s.dnsAttached())
	}
	if s.isVM() {
		all = append(all, s.vmConditions()...)
	}
	return all
}

// ready is the summary: the first condition that is not True speaks for the machine.
func (s *scope) ready() metav1.Condition {
	for _, name := range []string{infrav1.MachineDeployedCondition, infrav1.DNSAttachedCondition} {
		c := conditions.Get(s.machine, name)
		if c != nil && c.Status != metav1.ConditionTrue {
			return condition(clusterv1.ReadyCondition, c.Status, c.Reason, c.Message)
		}
	}
	return condition(clusterv1.ReadyCondition, metav1.ConditionTrue, clusterv1.ReadyReason, "")
}

func (s *scope) dnsAttached() metav1.Condition {
	name, deleting := infrav1.DNSAttachedCondition, s.stage == stageDeleting
	switch attached := s.machine.Status.DNSAttached; {
	case endpoint.IsCustom(s.infra):
		return condition(name, metav1.ConditionTrue, infrav1.CustomEndpointReason, "somebody else keeps the DNS record")
	case deleting && attached:
		return condition(name, metav1.ConditionFalse, infrav1.DNSDetachPendingReason, s.waiting)
	case attached:
		return condition(name, metav1.ConditionTrue, infrav1.DNSAttachedReason, "")
	case deleting:
		return condition(name, metav1.ConditionFalse, infrav1.MachineDeletingReason, "the DNS record does not hold the machine's address")
	default:
		return condition(name, metav1.ConditionFalse, infrav1.DNSAttachPendingReason, s.attachPending())
	}
}

// attachPending says what keeps the machine out of the DNS record.
func (s *scope) attachPending() string {
	record := conditions.Get(s.infra, infrav1.LoadBalancerReadyCondition)
	switch {
	case record != nil && record.Status == metav1.ConditionFalse:
		return "the MaasCluster cannot write the DNS record: " + record.Message
	case s.stage != stageRunning:
		return "waiting for the machine to be deployed"
	default:
		return "waiting for the machine's API server to answer; an address outside of the preferred subnets never goes into the record"
	}
}

func condition(name string, status metav1.ConditionStatus, reason, message string) metav1.Condition {
	return metav1.Condition{Type: name, Status: status, Reason: reason, Message: message}
}
