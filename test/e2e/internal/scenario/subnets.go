package scenario

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/test/e2e/internal/region"
	"github.com/capmaas/capmaas/test/e2e/internal/world"
)

// Subnets makes a cluster whose VMs are in two subnets and whose control plane is reached in the preferred one, prefers the other one
// then, and deletes it.
func (r *Run) Subnets(ctx context.Context) error {
	if err := r.prefer(ctx, world.Second); err != nil {
		return err
	}
	objects, err := r.sample(region.Image, r.version)
	if err != nil {
		return err
	}
	for _, object := range objects {
		if err := inBothSubnets(object); err != nil {
			return fmt.Errorf("change %s %s of the sample: %w", object.GetKind(), object.GetName(), err)
		}
	}
	if err := r.apply(ctx, objects); err != nil {
		return err
	}
	r.Timeline.Sayf("applied cluster %s, whose VMs are in two subnets, of which %s is preferred", clusterName, r.preferred)
	if err := r.awaitSettled(ctx, "the cluster in its preferred subnet to be available", 3, 0, 1); err != nil {
		return err
	}
	if err := r.checkBoth(ctx); err != nil {
		return err
	}
	if err := r.prefer(ctx, world.Subnet); err != nil {
		return err
	}
	if err := r.awaitSettled(ctx, "the cluster in its other subnet to be available", 3, 0, 1); err != nil {
		return err
	}
	if err := r.Delete(ctx); err != nil {
		return err
	}
	r.preferred = netip.Prefix{}
	return r.management.Client.Delete(ctx, preference(r.preferred))
}

// prefer says as a user does in which subnet the control plane is reached.
func (r *Run) prefer(ctx context.Context, subnet netip.Prefix) error {
	r.preferred = subnet
	err := r.management.Client.Create(ctx, preference(subnet))
	if client.IgnoreAlreadyExists(err) == nil {
		err = r.management.Client.Update(ctx, preference(subnet))
	}
	if err != nil {
		return fmt.Errorf("prefer a subnet: %w", err)
	}
	r.Timeline.Sayf("preferring %s", subnet)
	return nil
}

func preference(subnet netip.Prefix) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: infrav1.PreferredSubnetConfigMap},
		Data:       map[string]string{infrav1.PreferredSubnetKey: subnet.String()},
	}
}

// inBothSubnets changes an object of the sample: the VMs have an interface in each subnet; there is one worker VM. MAAS reaches
// machines in the first subnet only, so none may be in the preferred one alone.
func inBothSubnets(object *unstructured.Unstructured) error {
	switch {
	case object.GetName() != metalName && object.GetKind() == "MaasMachineTemplate":
		return unstructured.SetNestedField(object.Object, firstSubnet+","+secondSubnet, "spec", "template", "spec", "lxd", "vmConfig", "network")
	case object.GetName() == metalName && object.GetKind() == "MachineDeployment":
		return unstructured.SetNestedField(object.Object, int64(0), "spec", "replicas")
	}
	return nil
}

// checkBoth wants every machine of the control plane to tell an address of either subnet.
func (r *Run) checkBoth(ctx context.Context) error {
	s, err := r.look(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, m := range s.machines {
		if _, ok := m.Labels[clusterv1.MachineControlPlaneLabel]; !ok {
			continue
		}
		for _, subnet := range []netip.Prefix{world.Subnet, world.Second} {
			if !slices.ContainsFunc(m.Status.Addresses, func(a clusterv1.MachineAddress) bool {
				address, err := netip.ParseAddr(a.Address)
				return err == nil && subnet.Contains(address)
			}) {
				errs = append(errs, fmt.Errorf("machine %s has no address in %s: %v", m.Name, subnet, m.Status.Addresses))
			}
		}
	}
	return errors.Join(errs...)
}
