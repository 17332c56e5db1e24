package v1beta1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
)

// Architecture is the processor architecture of a node, in Kubernetes' spelling.
// +kubebuilder:validation:Enum=amd64;arm64;s390x;ppc64le
type Architecture string

// The architectures that Cluster API's autoscaler knows.
const (
	ArchitectureAMD64   Architecture = "amd64"
	ArchitectureARM64   Architecture = "arm64"
	ArchitectureS390X   Architecture = "s390x"
	ArchitecturePPC64LE Architecture = "ppc64le"
)

// MaasMachineTemplateSpec is the desired state of a MaasMachineTemplate.
type MaasMachineTemplateSpec struct {
	// template is what MaasMachines are made from.
	// +required
	Template MaasMachineTemplateResource `json:"template"`
}

// MaasMachineTemplateResource is what MaasMachines are made from.
type MaasMachineTemplateResource struct {
	// metadata holds the labels and annotations of MaasMachines made from this template.
	// +optional
	ObjectMeta clusterv1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// spec is the spec of MaasMachines made from this template.
	// +required
	// +kubebuilder:validation:XValidation:rule="!has(self.providerID) && !has(self.systemID)",message="providerID and systemID name one machine: they can't stand in a template"
	Spec MaasMachineSpec `json:"spec"`
}

// MaasMachineTemplateStatus is what the autoscaler needs to know of a template to scale from zero.
type MaasMachineTemplateStatus struct {
	// capacity is what a node made from this template offers, for example cpu and memory.
	// +optional
	Capacity corev1.ResourceList `json:"capacity,omitempty"`

	// nodeInfo says what a node made from this template runs on.
	// +optional
	NodeInfo *NodeInfo `json:"nodeInfo,omitempty"`
}

// NodeInfo says what a node runs on.
type NodeInfo struct {
	// architecture is the processor architecture of the node.
	// +optional
	Architecture Architecture `json:"architecture,omitempty"`

	// operatingSystem is the operating system of the node, for example linux.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	OperatingSystem string `json:"operatingSystem,omitempty"`
}

// MaasMachineTemplate is a template of MaasMachines, as KubeadmControlPlane, MachineDeployment and ClusterClass use it.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:storageversion
// +kubebuilder:resource:path=maasmachinetemplates,scope=Namespaced,categories=cluster-api,shortName=maasmt
// +kubebuilder:metadata:labels="cluster.x-k8s.io/v1beta1=v1beta1"
// +kubebuilder:metadata:labels="cluster.x-k8s.io/v1beta2=v1beta1"
// +kubebuilder:metadata:labels="cluster.x-k8s.io/provider=infrastructure-maas"
// +kubebuilder:printcolumn:name="Cluster",type=string,JSONPath=`.metadata.ownerReferences[?(@.kind=="Cluster")].name`,description="Cluster that uses this template"
// +kubebuilder:printcolumn:name="Mode",type=string,JSONPath=`.spec.template.spec.provisioningMode`,description="bare-metal or lxd"
// +kubebuilder:printcolumn:name="Cores",type=integer,JSONPath=`.spec.template.spec.minCPU`,description="Processor cores asked for"
// +kubebuilder:printcolumn:name="Memory",type=integer,JSONPath=`.spec.template.spec.minMemory`,description="Memory asked for in MiB"
// +kubebuilder:printcolumn:name="Image",type=string,JSONPath=`.spec.template.spec.image`,description="Image that is deployed"
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`,description="Time since the object was created"
// +kubebuilder:printcolumn:name="Pool",type=string,JSONPath=`.spec.template.spec.resourcePool`,description="MAAS resource pool",priority=1
type MaasMachineTemplate struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is the desired state.
	// +optional
	Spec MaasMachineTemplateSpec `json:"spec,omitempty"`

	// status is what is known of the nodes that the template gives.
	// +optional
	Status MaasMachineTemplateStatus `json:"status,omitempty,omitzero"`
}

// MaasMachineTemplateList is a list of MaasMachineTemplates.
//
// +kubebuilder:object:root=true
type MaasMachineTemplateList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []MaasMachineTemplate `json:"items"`
}
