package v1beta1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// OnHostLostPolicy says what becomes of a VM's deletion when its LXD host does not answer.
// +kubebuilder:validation:Enum=HandOver;Wait
type OnHostLostPolicy string

const (
	// HandOver lets the machine's object go after five minutes and keeps the VM on the cluster's list of pending deletions.
	HandOver OnHostLostPolicy = "HandOver"
	// Wait keeps the machine's object until the VM is proved to be gone.
	Wait OnHostLostPolicy = "Wait"
)

// MaasClusterSpec is the desired state of a MaasCluster.
type MaasClusterSpec struct {
	// dnsDomain is the MAAS DNS domain that gets the record of the control plane, for example "maas". It cannot be changed.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\\\\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$')",message="must be a DNS domain, for example maas or k8s.example.net"
	DNSDomain string `json:"dnsDomain"`

	// controlPlaneEndpoint is the address of the control plane. Leave it out to have it filled in with the DNS record that is
	// made for the cluster, or give a host to use that name.
	// +optional
	ControlPlaneEndpoint APIEndpoint `json:"controlPlaneEndpoint,omitempty,omitzero"`

	// failureDomains are the MAAS zones in which machines may be placed; one that is named twice counts once. Left out: all zones
	// that MAAS knows.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=256
	FailureDomains []string `json:"failureDomains,omitempty"`

	// lxdConfig describes how the machines of this cluster are set up as LXD hosts themselves. Setting up hosts is not done
	// by this provider: the fields are kept so that manifests that have them stay valid.
	// +optional
	LXDConfig *LXDHostConfig `json:"lxdConfig,omitempty"`

	// onHostLost says what becomes of a VM's deletion when its LXD host has not answered for five minutes: HandOver lets the
	// machine go and puts the VM on the cluster's list of pending deletions, which is worked off when the host returns and
	// for which the cluster's deletion waits; Wait keeps the machine until the VM is proved to be gone. Left out: HandOver,
	// because a control plane is not repaired while one of its Machines is being deleted.
	// +optional
	OnHostLost OnHostLostPolicy `json:"onHostLost,omitempty"`
}

// APIEndpoint is the address of a Kubernetes API server.
type APIEndpoint struct {
	// host is the DNS name or IP address of the API server.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="self == '' || isIP(self) || self.matches('^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\\\\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$')",message="must be a DNS name or an IP address, without scheme and port"
	Host string `json:"host,omitempty"`

	// port is the TCP port of the API server. Left out or 0: the Cluster's clusterNetwork.apiServerPort, else 6443.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port,omitempty"`
}

// IsZero says whether neither host nor port is set.
func (e *APIEndpoint) IsZero() bool {
	return e.Host == "" && e.Port == 0
}

// IsValid says whether both host and port are set.
func (e *APIEndpoint) IsValid() bool {
	return e.Host != "" && e.Port != 0
}

// LXDHostConfig describes how a cluster's machines are set up as LXD hosts.
type LXDHostConfig struct {
	// enabled asks for the machines to be set up as LXD hosts.
	// +optional
	// +kubebuilder:default=false
	Enabled *bool `json:"enabled,omitempty"`

	// resourcePool is the MAAS resource pool of the hosts.
	// +optional
	ResourcePool string `json:"resourcePool,omitempty"`

	// zone is the MAAS zone of the hosts.
	// +optional
	Zone string `json:"zone,omitempty"`

	// storageBackend is the driver of the LXD storage pool, for example zfs or dir.
	// +optional
	// +kubebuilder:default=zfs
	StorageBackend string `json:"storageBackend,omitempty"`

	// storageSize is the size of the LXD storage pool in GB, written as a string.
	// +optional
	// +kubebuilder:default="50"
	StorageSize string `json:"storageSize,omitempty"`

	// nicType is the kind of network interface of the VMs.
	// +optional
	// +kubebuilder:validation:Enum=bridge;macvlan
	NICType string `json:"nicType,omitempty"`

	// nicParent is the host's interface or bridge to which the VMs' interfaces are attached.
	// +optional
	NICParent string `json:"nicParent,omitempty"`

	// networkBridge is an older name of nicParent, which wins when both are set.
	// +optional
	NetworkBridge string `json:"networkBridge,omitempty"`

	// skipNetworkUpdate leaves networks that exist on the host as they are.
	// +optional
	// +kubebuilder:default=true
	SkipNetworkUpdate *bool `json:"skipNetworkUpdate,omitempty"`
}

// MaasClusterStatus is the observed state of a MaasCluster.
type MaasClusterStatus struct {
	// ready says whether the cluster's infrastructure is there; initialization.provisioned says the same.
	// +kubebuilder:default=false
	Ready bool `json:"ready"`

	// initialization holds what Cluster API reads once, while the cluster comes up.
	// +optional
	Initialization MaasClusterInitializationStatus `json:"initialization,omitempty,omitzero"`

	// network is what is known of the cluster's network.
	// +optional
	Network Network `json:"network,omitempty,omitzero"`

	// failureDomains are the MAAS zones over which machines are spread. Control planes of VMs go to those with usable LXD hosts
	// where there are any.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=100
	FailureDomains FailureDomains `json:"failureDomains,omitempty"`

	// zones are the names of the failure domains, separated by commas, as kubectl get shows them.
	// +optional
	Zones string `json:"zones,omitempty"`

	// pendingDeletions is the number of VMs that are still to be deleted from hosts that did not answer. It is left out where
	// none was handed over.
	// +optional
	PendingDeletions *int32 `json:"pendingDeletions,omitempty"`

	// conditions say how the cluster's infrastructure is doing: Ready, Paused, LoadBalancerReady, APIServerAvailable,
	// ProvisionerAvailable, DeletionsComplete, FailureDomainsComplete once MAAS had more zones than fit and, where lxdConfig asks
	// for it, LXDReady.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=32
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// MaasClusterInitializationStatus tells Cluster API that the cluster's infrastructure came up.
type MaasClusterInitializationStatus struct {
	// provisioned is true once the control plane's endpoint is known. It stays true.
	// +optional
	Provisioned *bool `json:"provisioned,omitempty"`
}

// Network is what is known of the cluster's network.
type Network struct {
	// dnsName is the fully qualified name of the control plane's DNS record.
	// +optional
	DNSName string `json:"dnsName,omitempty"`
}

// MaasCluster is the infrastructure of a Kubernetes cluster on machines and VMs that MAAS manages: the control plane's
// endpoint and the zones over which the machines are spread.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:storageversion
// +kubebuilder:resource:path=maasclusters,scope=Namespaced,categories=cluster-api,shortName=maasc
// +kubebuilder:metadata:labels="cluster.x-k8s.io/v1beta1=v1beta1"
// +kubebuilder:metadata:labels="cluster.x-k8s.io/v1beta2=v1beta1"
// +kubebuilder:metadata:labels="cluster.x-k8s.io/provider=infrastructure-maas"
// +kubebuilder:printcolumn:name="Cluster",type=string,JSONPath=`.metadata.labels['cluster\.x-k8s\.io/cluster-name']`,description="Cluster to which this MaasCluster belongs"
// +kubebuilder:printcolumn:name="Endpoint",type=string,JSONPath=`.spec.controlPlaneEndpoint.host`,description="Name or address of the control plane"
// +kubebuilder:printcolumn:name="Port",type=integer,JSONPath=`.spec.controlPlaneEndpoint.port`,description="Port of the control plane",priority=1
// +kubebuilder:printcolumn:name="Zones",type=string,JSONPath=`.status.zones`,description="MAAS zones over which machines are spread"
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`,description="Whether the cluster's infrastructure is ready"
// +kubebuilder:printcolumn:name="Pending Deletions",type=integer,JSONPath=`.status.pendingDeletions`,description="VMs still to be deleted from hosts that did not answer"
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`,description="Time since the object was created"
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`,description="Why it is ready or not",priority=1
// +kubebuilder:printcolumn:name="DNS Domain",type=string,JSONPath=`.spec.dnsDomain`,description="MAAS DNS domain",priority=1
type MaasCluster struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is the desired state.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self.dnsDomain == oldSelf.dnsDomain",message="dnsDomain cannot be changed"
	Spec MaasClusterSpec `json:"spec,omitempty"`

	// status is the observed state.
	// +optional
	Status MaasClusterStatus `json:"status,omitempty"`
}

// GetConditions returns the conditions, as Cluster API's helpers want them.
func (c *MaasCluster) GetConditions() []metav1.Condition {
	return c.Status.Conditions
}

// SetConditions replaces the conditions.
func (c *MaasCluster) SetConditions(conditions []metav1.Condition) {
	c.Status.Conditions = withReasons(conditions)
}

// MaasClusterList is a list of MaasClusters.
//
// +kubebuilder:object:root=true
type MaasClusterList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []MaasCluster `json:"items"`
}
