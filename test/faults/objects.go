package faults

import (
	"context"
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/test/stack"
)

// glance is how often something is looked at that is waited for.
const glance = 50 * time.Millisecond

// dnsDomain is the MAAS domain of the clusters' records.
const dnsDomain = "maas"

// cluster is a Cluster with its MaasCluster. The campaign does to them, and to the machines, what Cluster API's core does.
type cluster struct {
	world *world
	name  string
}

// makeCluster makes both objects and waits until the infrastructure is provisioned.
func (w *world) makeCluster(ctx context.Context, name string) (*cluster, error) {
	owner, maasCluster, err := stack.MakeCluster(ctx, w.client, w.namespace, name)
	if err != nil {
		return nil, err
	}
	c := &cluster{world: w, name: name}
	err = w.until(ctx, func() (bool, error) {
		if err := w.client.Get(ctx, client.ObjectKeyFromObject(maasCluster), maasCluster); err != nil {
			return false, err
		}
		return ptr.Deref(maasCluster.Status.Initialization.Provisioned, false), nil
	})
	if err != nil {
		return nil, fmt.Errorf("wait for MaasCluster %s: %w", name, err)
	}
	return c, stack.Mirror(ctx, w.client, owner, maasCluster)
}

// delete deletes both objects, whose machines are gone, and waits until they are gone too.
func (c *cluster) delete(ctx context.Context) error {
	return stack.RemoveCluster(ctx, c.world.client, c.world.namespace, c.name, c.world.until)
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
	err := stack.MakeMachine(ctx, l.world.client, stack.MachinePlan{
		Namespace: l.world.namespace, Name: l.name, Cluster: l.cluster.name, ControlPlane: l.controlPlane, Spec: l.spec(),
	})
	if err != nil || !l.inherited {
		return err
	}
	return l.keepTheirs(ctx)
}

func (l *life) spec() infrav1.MaasMachineSpec {
	spec := infrav1.MaasMachineSpec{MinCPU: new(int32(2)), MinMemory: new(int32(2048)), MinDiskSize: new(int32(10)), Image: "ubuntu/jammy"}
	if !l.metal {
		spec.ProvisioningMode = infrav1.ModeLXD
	}
	if l.inherited {
		spec.SystemID, spec.ProviderID = &l.systemID, &l.providerID
	}
	if l.address != "" {
		spec.StaticIP = &infrav1.StaticIPConfig{IP: l.address, CIDR: "10.10.0.0/16", Gateway: "10.10.0.1"}
	}
	return spec
}

// removeMachine takes away what makeMachine made, once the MaasMachine is gone.
func (l *life) removeMachine(ctx context.Context) error {
	return stack.RemoveMachine(ctx, l.world.client, l.world.namespace, l.name)
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
