package v1beta1

// Conditions of a MaasMachine. Ready (the summary) and Paused are Cluster API's own: clusterv1.ReadyCondition and
// clusterv1.PausedCondition.
const (
	// MachineDeployedCondition says whether MAAS has deployed the machine, VM or bare metal.
	MachineDeployedCondition = "MachineDeployed"
	// DNSAttachedCondition says whether the control plane's DNS record holds an address of the machine. Control planes only.
	DNSAttachedCondition = "DNSAttached"
	// LXDHostSelectedCondition says whether a host was found for the VM. VMs only, like the three that follow.
	LXDHostSelectedCondition = "LXDHostSelected"
	// LXDVMCreatedCondition says whether the VM exists and is ours.
	LXDVMCreatedCondition = "LXDVMCreated"
	// LXDResourcesAllocatedCondition says whether the VM has the cores, memory and disk that were asked for.
	LXDResourcesAllocatedCondition = "LXDResourcesAllocated"
	// LXDVMDeployedCondition says whether the VM's image is deployed.
	LXDVMDeployedCondition = "LXDVMDeployed"
)

// Conditions of a MaasCluster, besides Cluster API's Ready and Paused.
const (
	// LoadBalancerReadyCondition says whether the control plane's DNS record is there.
	LoadBalancerReadyCondition = "LoadBalancerReady"
	// APIServerAvailableCondition says whether the control plane's API server answers.
	APIServerAvailableCondition = "APIServerAvailable"
	// LXDReadyCondition says whether the cluster's machines are set up as LXD hosts. Only where lxdConfig asks for it.
	LXDReadyCondition = "LXDReady"
	// FailureDomainsCompleteCondition says whether every zone of MAAS is among the failure domains. It is there once one was not.
	FailureDomainsCompleteCondition = "FailureDomainsComplete"
	// ProvisionerAvailableCondition says whether the provisioning service answers, is of a fitting version and may use MAAS.
	ProvisionerAvailableCondition = "ProvisionerAvailable"
	// DeletionsCompleteCondition says whether no VM is left to be deleted on a host that did not answer.
	DeletionsCompleteCondition = "DeletionsComplete"
)

// Reasons of MachineDeployed. Some values end in "Reason": so they stand in objects that exist.
const (
	// MachineDeployedReason stands on a machine that is deployed.
	MachineDeployedReason = "MachineDeployed"
	// WaitingForClusterInfrastructureReason stands until the cluster's infrastructure is provisioned.
	WaitingForClusterInfrastructureReason = "WaitingForClusterInfrastructure"
	// WaitingForBootstrapDataReason stands until the bootstrap provider has made the secret with the user data.
	WaitingForBootstrapDataReason = "WaitingForBootstrapData"
	// WaitingForStaticIPReason stands until somebody has filled in spec.staticIP.ip.
	WaitingForStaticIPReason = "WaitingForStaticIP"
	// WaitingForTurnReason stands while others of the cluster's machines are made first.
	WaitingForTurnReason = "WaitingForTurn"
	// MachineDeployStartedReason stands while a machine is being found or made.
	MachineDeployStartedReason = "MachineDeployStartedReason"
	// MachineDeployingReason stands while MAAS deploys.
	MachineDeployingReason = "MachineDeploying"
	// MachineDeployFailedReason stands after a failure that the message tells.
	MachineDeployFailedReason = "MachineDeployFailed"
	// MachinePoweredOffReason stands on a deployed machine that is off.
	MachinePoweredOffReason = "MachinePoweredOff"
	// MachineTerminatedReason stands on a machine that somebody released.
	MachineTerminatedReason = "MachineTerminatedReason"
	// MachineNotFoundReason stands where MAAS could not be asked for the machine.
	MachineNotFoundReason = "MachineNotFound"
	// MachineStateUndefinedReason stands on a machine in a state that is not expected of it.
	MachineStateUndefinedReason = "MachineStateUndefined"
	// VMMissingReason stands on a provisioned machine whose VM is gone. It is not made again.
	VMMissingReason = "VMMissing"
	// HostLostReason stands on a provisioned machine of which nothing is known because its VM's host is not in MAAS or does not
	// answer.
	HostLostReason = "HostLost"
	// OverdueReason stands while MAAS takes longer over a machine than it should.
	OverdueReason = "Overdue"
	// MachineDeletingReason stands while the machine is being deleted.
	MachineDeletingReason = "Deleting"
	// MachineDeletedReason stands on a machine that is proved to be gone.
	MachineDeletedReason = "Deleted"
	// DeletionHandedOverReason stands where a VM's deletion went to the cluster's list of pending deletions.
	DeletionHandedOverReason = "DeletionHandedOver"
	// NodeProviderIDMismatchReason stands where the Node has the provider ID of another machine.
	NodeProviderIDMismatchReason = "NodeProviderIDMismatch"
)

// Reasons of DNSAttached.
const (
	// DNSAttachedReason stands where the record holds the machine's address.
	DNSAttachedReason = "DNSAttached"
	// DNSAttachPendingReason stands until the record holds it.
	DNSAttachPendingReason = "DNSAttachPending"
	// DNSDetachPendingReason stands while the record still holds the address of a machine that is being deleted.
	DNSDetachPendingReason = "DNSDetachPending"
)

// Reasons of the VM's conditions. Where the service gave a reason (INSUFFICIENT_RESOURCES, for example), that one stands instead.
const (
	// LXDHostSelectedReason stands where a host was found.
	LXDHostSelectedReason = "LXDHostSelected"
	// WaitingForLXDHostReason stands until a host was looked for.
	WaitingForLXDHostReason = "WaitingForLXDHost"
	// LXDHostSelectionFailedReason stands where no host was found.
	LXDHostSelectionFailedReason = "LXDHostSelectionFailed"
	// LXDVMCreatedReason stands where the VM exists.
	LXDVMCreatedReason = "LXDVMCreated"
	// LXDVMComposingReason stands while the VM is being made.
	LXDVMComposingReason = "LXDVMComposing"
	// LXDVMCreationFailedReason stands where making it failed.
	LXDVMCreationFailedReason = "LXDVMCreationFailed"
	// LXDVMNotFoundReason stands where the VM is gone.
	LXDVMNotFoundReason = "LXDVMNotFound"
	// LXDResourcesAllocatedReason stands where the VM has what was asked for.
	LXDResourcesAllocatedReason = "LXDResourcesAllocated"
	// LXDVMDeployedReason stands where the VM is deployed.
	LXDVMDeployedReason = "LXDVMDeployed"
	// LXDVMDeployStartedReason stands while MAAS deploys it.
	LXDVMDeployStartedReason = "LXDVMDeployStarted"
	// LXDVMDeployFailedReason stands where deploying failed.
	LXDVMDeployFailedReason = "LXDVMDeployFailed"
	// LXDVMDeletionFailedReason stands where the VM could not be deleted.
	LXDVMDeletionFailedReason = "LXDVMDeletionFailed"
)

// Reasons of a MaasCluster's conditions.
const (
	// LoadBalancerReadyReason stands where the DNS record is there.
	LoadBalancerReadyReason = "LoadBalancerReady"
	// LoadBalancerFailedReason stands where it could not be made or changed.
	LoadBalancerFailedReason = "LoadBalancerFailed"
	// WaitForDNSNameReason stands until the record's name is known.
	WaitForDNSNameReason = "WaitForDNSName"
	// CustomEndpointReason stands where somebody else keeps the DNS record.
	CustomEndpointReason = "CustomEndpoint"
	// APIServerAvailableReason stands where the API server answers.
	APIServerAvailableReason = "APIServerAvailable"
	// APIServerNotReadyReason stands where it does not.
	APIServerNotReadyReason = "APIServerNotReady"
	// LXDReadyReason is never set: objects that the existing provider has looked after may hold it.
	LXDReadyReason = "LXDReady"
	// LXDFailedReason is never set, as LXDReadyReason.
	LXDFailedReason = "LXDFailed"
	// LXDSetupPendingReason stands where machines are to be set up as LXD hosts, which nobody does.
	LXDSetupPendingReason = "LXDSetupPending"
	// FailureDomainsCompleteReason stands where every zone is among the failure domains.
	FailureDomainsCompleteReason = "FailureDomainsComplete"
	// TooManyZonesReason stands where MAAS has more zones than the status may hold.
	TooManyZonesReason = "TooManyZones"
	// ProvisionerAvailableReason stands where the provisioning service can work.
	ProvisionerAvailableReason = "ProvisionerAvailable"
	// ProvisionerUnreachableReason stands where it does not answer.
	ProvisionerUnreachableReason = "ProvisionerUnreachable"
	// ProvisionerVersionMismatchReason stands where its version does not fit the manager's.
	ProvisionerVersionMismatchReason = "ProvisionerVersionMismatch"
	// DeletionsCompleteReason stands where no deletion is pending.
	DeletionsCompleteReason = "DeletionsComplete"
	// DeletionsPendingReason stands where the message names VMs that are still to be deleted.
	DeletionsPendingReason = "DeletionsPending"
)
