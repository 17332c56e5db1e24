package stack

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	controlplanev1 "sigs.k8s.io/cluster-api/api/controlplane/kubeadm/v1beta2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util/conditions"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/test/clusterapi"
)

// MakeCluster makes a Cluster and its MaasCluster, owned as core would. Mirror does the rest of core's work.
func MakeCluster(ctx context.Context, c client.Client, namespace, name string) (*clusterv1.Cluster, *infrav1.MaasCluster, error) {
	meta := func() metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{clusterv1.ClusterNameLabel: name}}
	}
	cluster := &clusterv1.Cluster{ObjectMeta: meta(), Spec: clusterv1.ClusterSpec{InfrastructureRef: clusterv1.ContractVersionedObjectReference{
		APIGroup: infrav1.GroupVersion.Group, Kind: "MaasCluster", Name: name,
	}}}
	if err := c.Create(ctx, cluster); err != nil {
		return nil, nil, fmt.Errorf("make Cluster %s: %w", name, err)
	}
	maasCluster := &infrav1.MaasCluster{ObjectMeta: meta(), Spec: infrav1.MaasClusterSpec{DNSDomain: "maas"}}
	if err := errors.Join(controllerutil.SetOwnerReference(cluster, maasCluster, c.Scheme()), c.Create(ctx, maasCluster)); err != nil {
		return nil, nil, fmt.Errorf("make MaasCluster %s: %w", name, err)
	}
	return cluster, maasCluster, nil
}

// Mirror copies what core copies from a provisioned MaasCluster.
func Mirror(ctx context.Context, c client.Client, cluster *clusterv1.Cluster, maasCluster *infrav1.MaasCluster) error {
	before := cluster.DeepCopy()
	cluster.Spec.ControlPlaneEndpoint = clusterv1.APIEndpoint(maasCluster.Spec.ControlPlaneEndpoint)
	if err := c.Patch(ctx, cluster, client.MergeFrom(before)); err != nil {
		return fmt.Errorf("copy the endpoint of %s: %w", cluster.Name, err)
	}
	before = cluster.DeepCopy()
	cluster.Status.Initialization.InfrastructureProvisioned = new(true)
	cluster.Status.FailureDomains = maasCluster.Status.FailureDomains
	if err := c.Status().Patch(ctx, cluster, client.MergeFrom(before)); err != nil {
		return fmt.Errorf("copy the status of %s: %w", cluster.Name, err)
	}
	return nil
}

// RemoveCluster takes away what MakeCluster made, as core does: the Cluster goes when its MaasCluster is gone, whose machines
// have to be gone before. until waits for what it is given.
func RemoveCluster(ctx context.Context, c client.Client, namespace, name string, until func(context.Context, func() (bool, error)) error) error {
	meta := metav1.ObjectMeta{Namespace: namespace, Name: name}
	maasCluster := &infrav1.MaasCluster{ObjectMeta: meta}
	if err := client.IgnoreNotFound(c.Delete(ctx, maasCluster)); err != nil {
		return fmt.Errorf("delete MaasCluster %s: %w", name, err)
	}
	err := until(ctx, func() (bool, error) {
		err := c.Get(ctx, client.ObjectKeyFromObject(maasCluster), maasCluster)
		return apierrors.IsNotFound(err), client.IgnoreNotFound(err)
	})
	if err != nil {
		return fmt.Errorf("MaasCluster %s does not go: %w: %v", name, err, maasCluster.Annotations)
	}
	return client.IgnoreNotFound(c.Delete(ctx, &clusterv1.Cluster{ObjectMeta: meta}))
}

// MachinePlan is what a machine is to be.
type MachinePlan struct {
	Namespace, Name, Cluster string
	ControlPlane             bool
	Spec                     infrav1.MaasMachineSpec
}

func (p MachinePlan) meta() metav1.ObjectMeta {
	m := metav1.ObjectMeta{Namespace: p.Namespace, Name: p.Name, Labels: map[string]string{clusterv1.ClusterNameLabel: p.Cluster}}
	if p.ControlPlane {
		m.Labels[clusterv1.MachineControlPlaneLabel] = ""
	}
	return m
}

// MakeMachine makes what the bootstrap provider, a control plane or MachineSet, and core make for one machine.
func MakeMachine(ctx context.Context, c client.Client, p MachinePlan) error {
	secret := clusterapi.Bootstrap(p.Namespace, p.Name, p.Cluster, []byte("#cloud-config\n# "+p.Name+"\n"))
	machine := &clusterv1.Machine{ObjectMeta: p.meta(), Spec: clusterv1.MachineSpec{
		ClusterName: p.Cluster, Bootstrap: clusterv1.Bootstrap{DataSecretName: &secret.Name},
		InfrastructureRef: clusterv1.ContractVersionedObjectReference{APIGroup: infrav1.GroupVersion.Group, Kind: "MaasMachine", Name: p.Name},
	}}
	if err := errors.Join(c.Create(ctx, secret), c.Create(ctx, machine)); err != nil {
		return fmt.Errorf("make Machine %s: %w", p.Name, err)
	}
	maasMachine := &infrav1.MaasMachine{ObjectMeta: p.meta(), Spec: p.Spec}
	if err := errors.Join(controllerutil.SetOwnerReference(machine, maasMachine, c.Scheme()), c.Create(ctx, maasMachine)); err != nil {
		return fmt.Errorf("make MaasMachine %s: %w", p.Name, err)
	}
	if !p.ControlPlane {
		return nil
	}
	before := machine.DeepCopy()
	conditions.Set(machine, metav1.Condition{
		Type: controlplanev1.KubeadmControlPlaneMachineAPIServerPodHealthyCondition, Status: metav1.ConditionTrue,
		Reason: "Running", Message: "said by the test: no API server runs on the machine",
	})
	if err := c.Status().Patch(ctx, machine, client.MergeFrom(before)); err != nil {
		return fmt.Errorf("say that the API server on %s is healthy: %w", p.Name, err)
	}
	return nil
}

// RemoveMachine takes away what MakeMachine made, once the MaasMachine is gone.
func RemoveMachine(ctx context.Context, c client.Client, namespace, name string) error {
	meta := metav1.ObjectMeta{Namespace: namespace, Name: name}
	return errors.Join(
		client.IgnoreNotFound(c.Delete(ctx, &clusterv1.Machine{ObjectMeta: meta})),
		client.IgnoreNotFound(c.Delete(ctx, clusterapi.Bootstrap(namespace, name, "", nil))))
}
