package integration_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/test/clusterapi"
)

// clusterName is the same in every namespace.
const clusterName = "c1"

// joinToken stands in every user data; no log, event, condition or metric may ever show it.
const joinToken = "abcdef.0123456789abcdef"

// makeCluster applies a Cluster with its MaasCluster.
func (s *stack) makeCluster(t *testing.T, edits ...func(*infrav1.MaasCluster)) {
	t.Helper()
	maasCluster := &infrav1.MaasCluster{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: clusterName, Labels: map[string]string{clusterv1.ClusterNameLabel: clusterName}},
		Spec:       infrav1.MaasClusterSpec{DNSDomain: "maas"},
	}
	for _, edit := range edits {
		edit(maasCluster)
	}
	cluster := &clusterv1.Cluster{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: clusterName},
		Spec: clusterv1.ClusterSpec{InfrastructureRef: clusterv1.ContractVersionedObjectReference{
			APIGroup: infrav1.GroupVersion.Group, Kind: "MaasCluster", Name: clusterName,
		}},
	}
	require.NoError(t, s.client.Create(t.Context(), cluster))
	require.NoError(t, s.client.Create(t.Context(), maasCluster))
}

// makeVM applies a Machine with a MaasMachine of mode lxd.
func (s *stack) makeVM(t *testing.T, name string, edits ...func(*infrav1.MaasMachine, *clusterv1.Machine)) {
	t.Helper()
	s.makeMachine(t, name, infrav1.MaasMachineSpec{
		ProvisioningMode: infrav1.ModeLXD, MinCPU: new(int32(4)), MinMemory: new(int32(8192)), MinDiskSize: new(int32(40)), Image: "ubuntu/jammy",
	}, edits...)
}

// makeMetal applies a Machine with a MaasMachine of mode bare-metal.
func (s *stack) makeMetal(t *testing.T, name string, edits ...func(*infrav1.MaasMachine, *clusterv1.Machine)) {
	t.Helper()
	s.makeMachine(t, name, infrav1.MaasMachineSpec{
		MinCPU: new(int32(4)), MinMemory: new(int32(8192)), Image: "ubuntu/jammy",
	}, edits...)
}

// machine names a Machine.
func (s *stack) machine(name string) *clusterv1.Machine {
	return &clusterv1.Machine{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name}}
}

func controlPlane(maasMachine *infrav1.MaasMachine, machine *clusterv1.Machine) {
	maasMachine.Labels[clusterv1.MachineControlPlaneLabel] = ""
	machine.Labels[clusterv1.MachineControlPlaneLabel] = ""
}

func (s *stack) makeMachine(t *testing.T, name string, spec infrav1.MaasMachineSpec, edits ...func(*infrav1.MaasMachine, *clusterv1.Machine)) {
	t.Helper()
	meta := func() metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: s.namespace, Name: name, Labels: map[string]string{clusterv1.ClusterNameLabel: clusterName}}
	}
	maasMachine := &infrav1.MaasMachine{ObjectMeta: meta(), Spec: spec}
	machine := &clusterv1.Machine{ObjectMeta: meta(), Spec: clusterv1.MachineSpec{
		ClusterName: clusterName,
		Bootstrap:   clusterv1.Bootstrap{DataSecretName: new(name + "-bootstrap")},
		InfrastructureRef: clusterv1.ContractVersionedObjectReference{
			APIGroup: infrav1.GroupVersion.Group, Kind: "MaasMachine", Name: name,
		},
	}}
	for _, edit := range edits {
		edit(maasMachine, machine)
	}
	userData := fmt.Sprintf("#cloud-config\n# %s\nruncmd: [kubeadm join --token %s]\n", name, joinToken)
	secret := clusterapi.Bootstrap(s.namespace, name+"-bootstrap", clusterName, []byte(userData))
	require.NoError(t, s.client.Create(t.Context(), secret))
	require.NoError(t, s.client.Create(t.Context(), machine))
	require.NoError(t, s.client.Create(t.Context(), maasMachine))
}
