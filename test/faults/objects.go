package faults

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	controlplanev1 "sigs.k8s.io/cluster-api/api/controlplane/kubeadm/v1beta2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util/conditions"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/test/clusterapi"
)

// glance is how often something is looked at that is waited for.
const glance = 50 * time.Millisecond

// cluster is a Cluster with its MaasCluster. The campaign does to them, and to the machines, what Cluster API's core does.
type cluster struct {
	world *world
	name  string
	owner *clusterv1.Cluster
}

// makeCluster makes both objects and waits until the infrastructure is provisioned.
func (w *world) makeCluster(ctx context.Context, name string) (*cluster, error) {
	meta := metav1.ObjectMeta{Namespace: w.namespace, Name: name, Labels: map[string]string{clusterv1.ClusterNameLabel: name}}
	owner := &clusterv1.Cluster{ObjectMeta: meta, Spec: clusterv1.ClusterSpec{InfrastructureRef: clusterv1.ContractVersionedObjectReference{
		APIGroup: infrav1.GroupVersion.Group, Kind: "MaasCluster", Name: name,
	}}}
	if err := w.client.Create(ctx, owner); err != nil {
		return nil, fmt.Errorf("make Cluster %s: %w", name, err)
	}
	maasCluster := &infrav1.MaasCluster{ObjectMeta: meta, Spec: infrav1.MaasClusterSpec{DNSDomain: "maas"}}
	maasCluster.ResourceVersion, maasCluster.UID = "", ""
	if err := errors.Join(controllerutil.SetOwnerReference(owner, maasCluster, w.client.Scheme()), w.client.Create(ctx, maasCluster)); err != nil {
		return nil, fmt.Errorf("make MaasCluster %s: %w", name, err)
	}
	c := &cluster{world: w, name: name, owner: owner}
	err := w.until(ctx, func() (bool, error) {
		if err := w.client.Get(ctx, client.ObjectKeyFromObject(maasCluster), maasCluster); err != nil {
			return false, err
		}
		return ptr.Deref(maasCluster.Status.Initialization.Provisioned, false), nil
	})
	if err != nil {
		return nil, fmt.Errorf("wait for MaasCluster %s: %w", name, err)
	}
	before := owner.DeepCopy()
	owner.Spec.ControlPlaneEndpoint = clusterv1.APIEndpoint(maasCluster.Spec.ControlPlaneEndpoint)
	if err := w.client.Patch(ctx, owner, client.MergeFrom(before)); err != nil {
		return nil, fmt.Errorf("copy the endpoint of %s: %w", name, err)
	}
	before = owner.DeepCopy()
	owner.Status.Initialization.InfrastructureProvisioned = new(true)
	owner.Status.FailureDomains = maasCluster.Status.FailureDomains
	if err := w.client.Status().Patch(ctx, owner, client.MergeFrom(before)); err != nil {
		return nil, fmt.Errorf("copy the status of %s: %w", name, err)
	}
	return c, nil
}

// delete deletes both objects, whose machines are gone, and waits until they are gone too.
func (c *cluster) delete(ctx context.Context) error {
	maasCluster := &infrav1.MaasCluster{ObjectMeta: metav1.ObjectMeta{Namespace: c.world.namespace, Name: c.name}}
	if err := client.IgnoreNotFound(c.world.client.Delete(ctx, maasCluster)); err != nil {
		return fmt.Errorf("delete MaasCluster %s: %w", c.name, err)
	}
	err := c.world.until(ctx, func() (bool, error) {
		err := c.world.client.Get(ctx, client.ObjectKeyFromObject(maasCluster), maasCluster)
		return apierrors.IsNotFound(err), client.IgnoreNotFound(err)
	})
	if err != nil {
		return fmt.Errorf("MaasCluster %s does not go: %w: %v", c.name, err, maasCluster.Annotations)
	}
	return client.IgnoreNotFound(c.world.client.Delete(ctx, c.owner))
}

// until looks until something holds. It is given up after the campaign's patience.
func (w *world) until(ctx context.Context, holds func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, w.campaign.options.Patience)
	defer cancel()
	for {
		ok, err := holds()
		if ok {
			return nil
		}
		if ctx.Err() != nil {
			return errors.Join(ctx.Err(), err)
		}
		pause(ctx, glance)
	}
}

// makeMachine makes what the bootstrap provider, a control plane or MachineSet, and core make for one machine.
func (l *life) makeMachine(ctx context.Context) error {
	w := l.world
	meta := func() metav1.ObjectMeta {
		m := metav1.ObjectMeta{Namespace: w.namespace, Name: l.name, Labels: map[string]string{clusterv1.ClusterNameLabel: l.cluster.name}}
		if l.controlPlane {
			m.Labels[clusterv1.MachineControlPlaneLabel] = ""
		}
		return m
	}
	secret := clusterapi.Bootstrap(w.namespace, l.name, l.cluster.name, []byte("#cloud-config\n# "+l.name+"\n"))
	machine := &clusterv1.Machine{ObjectMeta: meta(), Spec: clusterv1.MachineSpec{
		ClusterName: l.cluster.name, Bootstrap: clusterv1.Bootstrap{DataSecretName: &secret.Name},
		InfrastructureRef: clusterv1.ContractVersionedObjectReference{APIGroup: infrav1.GroupVersion.Group, Kind: "MaasMachine", Name: l.name},
	}}
	if err := errors.Join(w.client.Create(ctx, secret), w.client.Create(ctx, machine)); err != nil {
		return fmt.Errorf("make Machine %s: %w", l.name, err)
	}
	maasMachine := &infrav1.MaasMachine{ObjectMeta: meta(), Spec: l.spec()}
	if err := errors.Join(controllerutil.SetOwnerReference(machine, maasMachine, w.client.Scheme()), w.client.Create(ctx, maasMachine)); err != nil {
		return fmt.Errorf("make MaasMachine %s: %w", l.name, err)
	}
	if !l.controlPlane {
		return nil
	}
	before := machine.DeepCopy()
	conditions.Set(machine, metav1.Condition{
		Type: controlplanev1.KubeadmControlPlaneMachineAPIServerPodHealthyCondition, Status: metav1.ConditionTrue,
		Reason: "Running", Message: "said by the campaign: no API server runs on the machine",
	})
	return w.client.Status().Patch(ctx, machine, client.MergeFrom(before))
}

func (l *life) spec() infrav1.MaasMachineSpec {
	spec := infrav1.MaasMachineSpec{MinCPU: new(int32(2)), MinMemory: new(int32(2048)), MinDiskSize: new(int32(10)), Image: "ubuntu/jammy"}
	if !l.metal {
		spec.ProvisioningMode = infrav1.ModeLXD
	}
	if l.address != "" {
		spec.StaticIP = &infrav1.StaticIPConfig{IP: l.address, CIDR: "10.10.0.0/16", Gateway: "10.10.0.1"}
	}
	return spec
}

// removeMachine takes away what makeMachine made, once the MaasMachine is gone.
func (l *life) removeMachine(ctx context.Context) error {
	meta := metav1.ObjectMeta{Namespace: l.world.namespace, Name: l.name}
	return errors.Join(
		client.IgnoreNotFound(l.world.client.Delete(ctx, &clusterv1.Machine{ObjectMeta: meta})),
		client.IgnoreNotFound(l.world.client.Delete(ctx, clusterapi.Bootstrap(meta.Namespace, meta.Name, "", nil))))
}

// annotate changes an annotation of the MaasMachine as a user does, in a merge patch that heeds nobody.
func (l *life) annotate(ctx context.Context, key string, value any) error {
	patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:%s}}}`, key, text(value))
	m := &infrav1.MaasMachine{ObjectMeta: metav1.ObjectMeta{Namespace: l.world.namespace, Name: l.name}}
	return client.IgnoreNotFound(l.world.client.Patch(ctx, m, client.RawPatch("application/merge-patch+json", []byte(patch))))
}

// text is a value in JSON.
func text(value any) string {
	if value == nil {
		return "null"
	}
	return fmt.Sprintf("%q", value)
}
