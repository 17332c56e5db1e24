package managertest

import (
	"context"
	"maps"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util/conditions"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
)

// Check collects what does not hold yet.
type Check = assert.CollectT

// UserData is the bootstrap data of every machine. It stands for data that holds join tokens.
const UserData = "#cloud-config\n# token: abcdef.0123456789abcdef\n"

// ClusterName is the name of the Cluster and the MaasCluster of a Bed.
const ClusterName = "quay"

// CreateCluster makes a Cluster and its MaasCluster, as a user and Cluster API would.
func (b *Bed) CreateCluster(t *testing.T, edits ...func(*clusterv1.Cluster, *infrav1.MaasCluster)) {
	t.Helper()
	cluster := &clusterv1.Cluster{
		ObjectMeta: metav1.ObjectMeta{Namespace: b.Namespace, Name: ClusterName},
		Spec: clusterv1.ClusterSpec{InfrastructureRef: clusterv1.ContractVersionedObjectReference{
			APIGroup: infrav1.GroupVersion.Group, Kind: "MaasCluster", Name: ClusterName,
		}},
	}
	infra := &infrav1.MaasCluster{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: b.Namespace, Name: ClusterName, Labels: map[string]string{clusterv1.ClusterNameLabel: ClusterName},
		},
		Spec: infrav1.MaasClusterSpec{DNSDomain: clusterDomain},
	}
	for _, edit := range edits {
		edit(cluster, infra)
	}
	require.NoError(t, b.Client.Create(t.Context(), cluster))
	infra.OwnerReferences = []metav1.OwnerReference{{
		APIVersion: clusterv1.GroupVersion.String(), Kind: "Cluster", Name: cluster.Name, UID: cluster.UID,
	}}
	require.NoError(t, b.Client.Create(t.Context(), infra))
}

// ProvisionCluster makes a cluster and waits until its infrastructure is there, which it then notes on the Cluster as
// Cluster API would.
func (b *Bed) ProvisionCluster(t *testing.T, edits ...func(*clusterv1.Cluster, *infrav1.MaasCluster)) {
	t.Helper()
	b.CreateCluster(t, edits...)
	Eventually(t, func(c *Check) {
		assert.True(c, ptr.Deref(b.Cluster(c).Status.Initialization.Provisioned, false))
	}, "the MaasCluster is provisioned")
	b.PatchCluster(t, func(cluster *clusterv1.Cluster) {
		cluster.Status.Initialization.InfrastructureProvisioned = new(true)
	})
}

// PatchCluster changes the Cluster, its status included.
func (b *Bed) PatchCluster(t *testing.T, edit func(*clusterv1.Cluster)) {
	t.Helper()
	cluster := &clusterv1.Cluster{}
	require.NoError(t, b.Client.Get(t.Context(), b.Key(ClusterName), cluster))
	before, status := cluster.DeepCopy(), cluster.DeepCopy()
	edit(cluster)
	edit(status)
	require.NoError(t, b.Client.Patch(t.Context(), cluster, client.MergeFrom(before)))
	require.NoError(t, b.Client.Status().Patch(t.Context(), status, client.MergeFrom(before)))
}

// Key is the key of an object of the namespace.
func (b *Bed) Key(name string) client.ObjectKey {
	return client.ObjectKey{Namespace: b.Namespace, Name: name}
}

// Cluster reads the MaasCluster.
func (b *Bed) Cluster(t require.TestingT) *infrav1.MaasCluster {
	infra := &infrav1.MaasCluster{}
	require.NoError(t, b.Client.Get(context.Background(), b.Key(ClusterName), infra))
	return infra
}

// Machine reads a MaasMachine.
func (b *Bed) Machine(t require.TestingT, name string) *infrav1.MaasMachine {
	machine := &infrav1.MaasMachine{}
	require.NoError(t, b.Client.Get(context.Background(), b.Key(name), machine))
	return machine
}

// LXD is the spec of a small VM.
func LXD() infrav1.MaasMachineSpec {
	spec := Metal()
	spec.ProvisioningMode = infrav1.ModeLXD
	return spec
}

// Metal is the spec of a small physical machine.
func Metal() infrav1.MaasMachineSpec {
	return infrav1.MaasMachineSpec{MinCPU: new(int32(2)), MinMemory: new(int32(4096)), Image: "ubuntu/jammy"}
}

// InZone gives the Machine a failure domain.
func InZone(zone string) func(*clusterv1.Machine, *infrav1.MaasMachine) {
	return func(machine *clusterv1.Machine, _ *infrav1.MaasMachine) { machine.Spec.FailureDomain = zone }
}

// ControlPlane makes a control plane's machine of it.
func ControlPlane(machine *clusterv1.Machine, infra *infrav1.MaasMachine) {
	for _, o := range []client.Object{machine, infra} {
		labels := o.GetLabels()
		labels[clusterv1.MachineControlPlaneLabel] = ""
		o.SetLabels(labels)
	}
}

// WithoutBootstrapData leaves the Secret with the user data to be named later.
func WithoutBootstrapData(machine *clusterv1.Machine, _ *infrav1.MaasMachine) {
	machine.Spec.Bootstrap = clusterv1.Bootstrap{ConfigRef: clusterv1.ContractVersionedObjectReference{
		APIGroup: "bootstrap.cluster.x-k8s.io", Kind: "KubeadmConfig", Name: machine.Name,
	}}
}

// CreateMachine makes a Machine, its MaasMachine and its bootstrap Secret, as Cluster API would.
func (b *Bed) CreateMachine(
	t *testing.T, name string, spec infrav1.MaasMachineSpec, edits ...func(*clusterv1.Machine, *infrav1.MaasMachine),
) {
	t.Helper()
	labels := map[string]string{clusterv1.ClusterNameLabel: ClusterName}
	meta := func() metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: b.Namespace, Name: name, Labels: maps.Clone(labels)}
	}
	machine := &clusterv1.Machine{ObjectMeta: meta(), Spec: clusterv1.MachineSpec{
		ClusterName: ClusterName,
		Bootstrap:   clusterv1.Bootstrap{DataSecretName: new(name)},
		InfrastructureRef: clusterv1.ContractVersionedObjectReference{
			APIGroup: infrav1.GroupVersion.Group, Kind: "MaasMachine", Name: name,
		},
	}}
	infra := &infrav1.MaasMachine{ObjectMeta: meta(), Spec: spec}
	for _, edit := range edits {
		edit(machine, infra)
	}
	secret := &corev1.Secret{ObjectMeta: meta(), Data: map[string][]byte{"value": []byte(UserData), "format": []byte("cloud-config")}}
	require.NoError(t, b.Client.Create(t.Context(), secret))
	require.NoError(t, b.Client.Create(t.Context(), machine))
	infra.OwnerReferences = []metav1.OwnerReference{{
		APIVersion: clusterv1.GroupVersion.String(), Kind: "Machine", Name: machine.Name, UID: machine.UID,
	}}
	require.NoError(t, b.Client.Create(t.Context(), infra))
}

// DeleteMachine deletes the MaasMachine, as Cluster API does for a Machine that goes.
func (b *Bed) DeleteMachine(t *testing.T, name string) {
	t.Helper()
	require.NoError(t, b.Client.Delete(t.Context(), b.Machine(t, name)))
}

// WaitProvisioned waits until a MaasMachine is provisioned and gives it.
func (b *Bed) WaitProvisioned(t *testing.T, name string) *infrav1.MaasMachine {
	t.Helper()
	Eventually(t, func(c *Check) {
		m := b.Machine(c, name)
		assert.True(c, ptr.Deref(m.Status.Initialization.Provisioned, false), "conditions: %v", m.Status.Conditions)
	}, name+" is provisioned")
	return b.Machine(t, name)
}

// WaitGone waits until a MaasMachine is gone.
func (b *Bed) WaitGone(t *testing.T, name string) {
	t.Helper()
	Eventually(t, func(c *Check) {
		machine := &infrav1.MaasMachine{}
		err := b.Client.Get(context.Background(), b.Key(name), machine)
		assert.True(c, apierrors.IsNotFound(err), "conditions: %v", machine.Status.Conditions)
	}, name+" is gone")
}

// WaitCondition waits until a condition has the reason and gives it.
func (b *Bed) WaitCondition(t *testing.T, get func(require.TestingT) conditions.Getter, name, reason string) metav1.Condition {
	t.Helper()
	var found metav1.Condition
	Eventually(t, func(c *Check) {
		condition := conditions.Get(get(c), name)
		require.NotNil(c, condition)
		assert.Equal(c, reason, condition.Reason, condition.Message)
		found = *condition
	}, name+" is "+reason)
	return found
}

// OfMachine gives a MaasMachine's conditions, for WaitCondition.
func (b *Bed) OfMachine(name string) func(require.TestingT) conditions.Getter {
	return func(t require.TestingT) conditions.Getter { return b.Machine(t, name) }
}

// OfCluster gives the MaasCluster's conditions, for WaitCondition.
func (b *Bed) OfCluster(t require.TestingT) conditions.Getter { //nolint:ireturn // what WaitCondition takes
	return b.Cluster(t)
}
