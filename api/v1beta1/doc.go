// Package v1beta1 holds the kinds MaasCluster, MaasClusterTemplate, MaasMachine and MaasMachineTemplate of the API group
// infrastructure.cluster.x-k8s.io, version v1beta1, which serves both the v1beta1 and the v1beta2 contract of Cluster API.
//
// Units are the same everywhere: memory in MiB, disks in GB (10^9 bytes), processors in cores.
//
// +kubebuilder:object:generate=true
// +groupName=infrastructure.cluster.x-k8s.io
package v1beta1
