package v1beta1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
)

// ProvisioningMode says what a MaasMachine becomes. Spec may hold the spelling "baremetal"; MaasMachineSpec.Mode gives the
// one of the two canonical values.
// +kubebuilder:validation:Enum=bare-metal;baremetal;lxd
type ProvisioningMode string

const (
	// ModeBareMetal takes a physical machine that MAAS has.
	ModeBareMetal ProvisioningMode = "bare-metal"
	// ModeLXD makes a VM on an LXD host that MAAS knows.
	ModeLXD ProvisioningMode = "lxd"
	// ModeBareMetalAlias is another spelling of bare-metal, accepted in a spec.
	ModeBareMetalAlias ProvisioningMode = "baremetal"
)

// MachineState is the state of a machine as MAAS calls it, for example Ready, Deploying or Deployed.
type MachineState string

// MaasMachineSpec is the desired state of a MaasMachine.
// +kubebuilder:validation:XValidation:rule="!(has(self.lxd) && has(self.lxd.enabled) && self.lxd.enabled && has(self.provisioningMode) && self.provisioningMode != 'lxd')",message="lxd.enabled: true contradicts provisioningMode: bare-metal; both say what the machine becomes, so set one of them or make them agree"
// +kubebuilder:validation:XValidation:rule="!has(self.lxdConfig) || (has(self.provisioningMode) && self.provisioningMode == 'lxd') || (has(self.lxd) && has(self.lxd.enabled) && self.lxd.enabled)",message="lxdConfig needs provisioningMode: lxd"
type MaasMachineSpec struct {
	// provisioningMode says what the machine becomes: bare-metal (the default; baremetal means the same) takes a physical
	// machine, lxd makes a VM on an LXD host. lxd.enabled: true means lxd as well. A machine stays what it is.
	// +optional
	ProvisioningMode ProvisioningMode `json:"provisioningMode,omitempty"`

	// failureDomain is the MAAS zone that the machine must be in. The failure domain of the Machine wins: where the two differ, the
	// zone where the machine really is stands here in the end, because Cluster API takes it over. It is not filled in where
	// it is empty; the status has the zone.
	// +optional
	FailureDomain *string `json:"failureDomain,omitempty"`

	// systemID is MAAS's id of the machine. It is filled in by the controller.
	// +optional
	SystemID *string `json:"systemID,omitempty"`

	// parent is the system id of a VM's host. Nothing reads it: status.lxdHost names the host.
	// +optional
	Parent *string `json:"parent,omitempty"`

	// providerID is maas:///<zone>/<system id> for bare metal and maas-lxd:///<zone>/<system id> for VMs. It is filled in by
	// the controller and never changes.
	// +optional
	ProviderID *string `json:"providerID,omitempty"`

	// resourcePool is the MAAS resource pool from which the machine, or the VM's host, is taken. Left out: any pool.
	// +optional
	ResourcePool *string `json:"resourcePool,omitempty"`

	// minCPU is the least number of processor cores, and the number of cores of a VM. 0 leaves the choice: any machine, or a
	// VM of 2 cores. It cannot be changed.
	// +required
	// +kubebuilder:validation:Minimum=0
	MinCPU *int32 `json:"minCPU"`

	// minMemory is the least memory in MiB, and the memory of a VM. 0 leaves the choice: any machine, or a VM of 4096 MiB. It
	// cannot be changed.
	// +required
	// +kubebuilder:validation:Minimum=0
	MinMemory *int32 `json:"minMemory"`

	// minDiskSize is the size of a VM's disk in GB where neither lxdConfig nor lxd.vmConfig names one. Left out or 0: 60.
	// +optional
	// +kubebuilder:validation:Minimum=0
	MinDiskSize *int32 `json:"minDiskSize,omitempty"`

	// tags are the MAAS tags that the machine, or the VM's host, must have, all of them.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:items:MinLength=1
	Tags []string `json:"tags,omitempty"`

	// image is the MAAS image to deploy: <operating system>/<series>, for example ubuntu/noble, or the bare name of a custom
	// image. It cannot be changed.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:XValidation:rule="self.matches('^[^/\\\\s]+(/\\\\S+)?$')",message="must be <operating system>/<series>, for example ubuntu/noble, or the bare name of a custom image"
	Image string `json:"image"`

	// deployInMemory runs the machine from memory and leaves its disks alone. Bare metal only; a VM is deployed to its disk.
	// +optional
	// +kubebuilder:default=false
	DeployInMemory bool `json:"deployInMemory,omitempty"`

	// keepSwap leaves the machine's swap as the image makes it. Otherwise MAAS is told to make none, which takes an
	// administrator's key. Bare metal only; the swap of a VM is never changed.
	// +optional
	KeepSwap bool `json:"keepSwap,omitempty"`

	// lxd is another way to ask for a VM: lxd.enabled: true means provisioningMode: lxd. lxdConfig says more than it and wins.
	// +optional
	LXD *MachineLXDConfig `json:"lxd,omitempty"`

	// staticIP gives a VM a fixed address; bare metal takes the address that MAAS gives. lxdConfig.network.staticIPConfig says
	// the same and wins.
	// +optional
	StaticIP *StaticIPConfig `json:"staticIP,omitempty"`

	// lxdConfig refines the VM and the choice of its host. Only with provisioningMode lxd.
	// +optional
	LXDConfig *LXDConfig `json:"lxdConfig,omitempty"`
}

// MaasMachineStatus is the observed state of a MaasMachine.
type MaasMachineStatus struct {
	// ready says whether the machine is deployed and part of the cluster.
	// +kubebuilder:default=false
	Ready bool `json:"ready"`

	// initialization holds what Cluster API reads once, while the machine comes up.
	// +optional
	Initialization MaasMachineInitializationStatus `json:"initialization,omitempty,omitzero"`

	// provisioningMode is what the machine is: bare-metal or lxd.
	// +optional
	ProvisioningMode ProvisioningMode `json:"provisioningMode,omitempty"`

	// failureDomain is the MAAS zone in which the machine really is.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	FailureDomain string `json:"failureDomain,omitempty"`

	// vmName is the name of the VM, on its LXD host and in MAAS. VMs only.
	// +optional
	VMName string `json:"vmName,omitempty"`

	// lxdHost is the name of the LXD host on which the VM runs. VMs only.
	// +optional
	LXDHost *string `json:"lxdHost,omitempty"`

	// lxdProject is the LXD project that holds the VM. VMs only.
	// +optional
	LXDProject *string `json:"lxdProject,omitempty"`

	// lxdProfile is the LXD profile of the VM. It is left as it is: MAAS does not tell the profile of a VM. VMs only.
	// +optional
	LXDProfile *string `json:"lxdProfile,omitempty"`

	// vmResourceUsage is what the VM takes of its host. VMs only.
	// +optional
	VMResourceUsage *VMResourceUsage `json:"vmResourceUsage,omitempty"`

	// machineState is the state of the machine as MAAS calls it, for example Deploying.
	// +optional
	MachineState *MachineState `json:"machineState,omitempty"`

	// machinePowered says whether the machine is powered on.
	// +optional
	MachinePowered bool `json:"machinePowered,omitempty"`

	// hostname is the name of the machine in MAAS.
	// +optional
	Hostname *string `json:"hostname,omitempty"`

	// dnsAttached says whether the control plane's DNS record holds an address of this machine.
	// +optional
	DNSAttached bool `json:"dnsAttached,omitempty"`

	// addresses are the machine's DNS name and IP addresses.
	// +optional
	// +listType=atomic
	Addresses []clusterv1.MachineAddress `json:"addresses,omitempty"`

	// conditions say how the machine is doing: Ready, Paused, MachineDeployed, DNSAttached on control planes and, on VMs,
	// LXDHostSelected, LXDVMCreated, LXDResourcesAllocated and LXDVMDeployed.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=32
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// failureReason is kept from objects that hold it. Nothing sets it: the conditions say what is wrong.
	// +optional
	FailureReason *string `json:"failureReason,omitempty"`

	// failureMessage is kept from objects that hold it. Nothing sets it: the conditions say what is wrong.
	// +optional
	FailureMessage *string `json:"failureMessage,omitempty"`
}

// MaasMachineInitializationStatus tells Cluster API that the machine came up.
type MaasMachineInitializationStatus struct {
	// provisioned is true once the machine is deployed. It stays true.
	// +optional
	Provisioned *bool `json:"provisioned,omitempty"`
}

// VMResourceUsage is what a VM takes of its host.
type VMResourceUsage struct {
	// allocatedCores is the number of processor cores.
	// +optional
	AllocatedCores int32 `json:"allocatedCores,omitempty"`

	// allocatedMemory is the memory in MiB.
	// +optional
	AllocatedMemory int32 `json:"allocatedMemory,omitempty"`

	// allocatedDisk is the size of the disk in GB.
	// +optional
	AllocatedDisk int32 `json:"allocatedDisk,omitempty"`
}

// MaasMachine is one node of a cluster: a physical machine that MAAS has, or a VM on an LXD host that MAAS knows.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:storageversion
// +kubebuilder:resource:path=maasmachines,scope=Namespaced,categories=cluster-api,shortName=maasm
// +kubebuilder:metadata:labels="cluster.x-k8s.io/v1beta1=v1beta1"
// +kubebuilder:metadata:labels="cluster.x-k8s.io/v1beta2=v1beta1"
// +kubebuilder:metadata:labels="cluster.x-k8s.io/provider=infrastructure-maas"
// +kubebuilder:printcolumn:name="Mode",type=string,JSONPath=`.status.provisioningMode`,description="bare-metal or lxd"
// +kubebuilder:printcolumn:name="Zone",type=string,JSONPath=`.status.failureDomain`,description="MAAS zone in which the machine is"
// +kubebuilder:printcolumn:name="Host",type=string,JSONPath=`.status.lxdHost`,description="LXD host on which the VM runs"
// +kubebuilder:printcolumn:name="Cores",type=integer,JSONPath=`.status.vmResourceUsage.allocatedCores`,description="Processor cores of the VM"
// +kubebuilder:printcolumn:name="Memory",type=integer,JSONPath=`.status.vmResourceUsage.allocatedMemory`,description="Memory of the VM in MiB"
// +kubebuilder:printcolumn:name="State",type=string,JSONPath=`.status.machineState`,description="State of the machine as MAAS calls it"
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`,description="Whether the machine is deployed and part of the cluster"
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`,description="Time since the object was created"
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`,description="Why it is ready or not",priority=1
// +kubebuilder:printcolumn:name="System ID",type=string,JSONPath=`.spec.systemID`,description="MAAS's id of the machine",priority=1
// +kubebuilder:printcolumn:name="Provider ID",type=string,JSONPath=`.spec.providerID`,description="Provider ID, the same as that of the Node",priority=1
// +kubebuilder:printcolumn:name="VM Name",type=string,JSONPath=`.status.vmName`,description="Name of the VM on its host and in MAAS",priority=1
// +kubebuilder:printcolumn:name="Cluster",type=string,JSONPath=`.metadata.labels['cluster\.x-k8s\.io/cluster-name']`,description="Cluster to which the machine belongs",priority=1
type MaasMachine struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is the desired state.
	// +optional
	// +kubebuilder:validation:XValidation:rule="(has(self.provisioningMode) && self.provisioningMode == 'lxd' || has(self.lxd) && has(self.lxd.enabled) && self.lxd.enabled) == (has(oldSelf.provisioningMode) && oldSelf.provisioningMode == 'lxd' || has(oldSelf.lxd) && has(oldSelf.lxd.enabled) && oldSelf.lxd.enabled)",message="a machine stays what it is, bare metal or VM"
	// +kubebuilder:validation:XValidation:rule="self.image == oldSelf.image",message="image cannot be changed"
	// +kubebuilder:validation:XValidation:rule="self.minCPU == oldSelf.minCPU",message="minCPU cannot be changed"
	// +kubebuilder:validation:XValidation:rule="self.minMemory == oldSelf.minMemory",message="minMemory cannot be changed"
	// +kubebuilder:validation:XValidation:rule="!has(oldSelf.providerID) || oldSelf.providerID == '' || (has(self.providerID) && self.providerID == oldSelf.providerID)",message="providerID cannot be changed: the Node has the same"
	Spec MaasMachineSpec `json:"spec,omitempty"`

	// status is the observed state.
	// +optional
	Status MaasMachineStatus `json:"status,omitempty"`
}

// GetConditions returns the conditions, as Cluster API's helpers want them.
func (m *MaasMachine) GetConditions() []metav1.Condition {
	return m.Status.Conditions
}

// SetConditions replaces the conditions.
func (m *MaasMachine) SetConditions(conditions []metav1.Condition) {
	m.Status.Conditions = withReasons(conditions)
}

// MaasMachineList is a list of MaasMachines.
//
// +kubebuilder:object:root=true
type MaasMachineList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []MaasMachine `json:"items"`
}
