package v1beta1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
)

// MaasClusterTemplateSpec is the desired state of a MaasClusterTemplate.
type MaasClusterTemplateSpec struct {
	// template is what MaasClusters are made from.
	// +required
	Template MaasClusterTemplateResource `json:"template"`
}

// MaasClusterTemplateResource is what MaasClusters are made from.
type MaasClusterTemplateResource struct {
	// metadata holds the labels and annotations of MaasClusters made from this template.
	// +optional
	ObjectMeta clusterv1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// spec is the spec of MaasClusters made from this template.
	// +required
	Spec MaasClusterSpec `json:"spec"`
}

// MaasClusterTemplate is a template of MaasClusters, for use in a ClusterClass.
//
// +kubebuilder:object:root=true
// +kubebuilder:storageversion
// +kubebuilder:resource:path=maasclustertemplates,scope=Namespaced,categories=cluster-api,shortName=maasct
// +kubebuilder:metadata:labels="cluster.x-k8s.io/v1beta1=v1beta1"
// +kubebuilder:metadata:labels="cluster.x-k8s.io/v1beta2=v1beta1"
// +kubebuilder:metadata:labels="cluster.x-k8s.io/provider=infrastructure-maas"
// +kubebuilder:printcolumn:name="ClusterClass",type=string,JSONPath=`.metadata.ownerReferences[?(@.kind=="ClusterClass")].name`,description="ClusterClass that uses this template"
// +kubebuilder:printcolumn:name="DNS Domain",type=string,JSONPath=`.spec.template.spec.dnsDomain`,description="MAAS DNS domain"
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`,description="Time since the object was created"
type MaasClusterTemplate struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is the desired state.
	// +optional
	Spec MaasClusterTemplateSpec `json:"spec,omitempty"`
}

// MaasClusterTemplateList is a list of MaasClusterTemplates.
//
// +kubebuilder:object:root=true
type MaasClusterTemplateList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []MaasClusterTemplate `json:"items"`
}
