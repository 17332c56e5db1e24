package scenario

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	bootstrapv1 "sigs.k8s.io/cluster-api/api/bootstrap/kubeadm/v1beta2"
	controlplanev1 "sigs.k8s.io/cluster-api/api/controlplane/kubeadm/v1beta2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/test/e2e/internal/region"
	"github.com/capmaas/capmaas/test/process"
)

// Patience is what usually bounds every wait; a machine that is busy with nothing else needs a fraction of it.
const Patience = 15 * time.Minute

// Create makes the sample: three control planes in VMs in three zones, two bare-metal workers and one in a VM. Where there is an
// older version it is made at that, so that it can be upgraded.
func (r *Run) Create(ctx context.Context) error {
	name, version := region.Image, r.version
	if r.before != "" {
		name, version = region.ImageBefore, r.before
	}
	if err := r.applySample(ctx, name, version); err != nil {
		return err
	}
	if err := r.awaitSettled(ctx, "the cluster to be available", 3, 2, 1); err != nil {
		return err
	}
	if err := r.calm(); err != nil { // who is killed writes when it is back
		return err
	}
	return r.awaitRest(ctx)
}

// awaitSettled waits until the cluster is as it is wanted, and compares Kubernetes, the cluster itself, MAAS and DNS.
func (r *Run) awaitSettled(ctx context.Context, what string, controlPlanes, metal, vms int) error {
	err := r.await(ctx, what, func(ctx context.Context) error {
		s, err := r.look(ctx)
		if err != nil {
			return err
		}
		if err := s.settled(controlPlanes, metal, vms); err != nil {
			return err
		}
		if err := r.checkPlaces(s); err != nil {
			return err
		}
		if err := r.checkNothingElse(s); err != nil {
			return err
		}
		return r.checkNodes(ctx, s)
	})
	if err == nil {
		r.Timeline.Sayf("%s: %d control planes, %d bare-metal workers, %d worker VMs; nodes, provider IDs, zones, MAAS, LXD and DNS agree", what, controlPlanes, metal, vms)
	}
	return err
}

func (r *Run) await(ctx context.Context, what string, check func(context.Context) error) error {
	return process.Await(ctx, what, r.Patience, r.alive, check)
}

// alive says what is gone that should be there.
func (r *Run) alive() error {
	select {
	case err := <-r.fleetEnded:
		r.fleetEnded <- err
		return fmt.Errorf("the fleet has ended: %w", err)
	default:
	}
	var errs []error
	for _, c := range r.managements() {
		errs = append(errs, c.Alive())
	}
	return errors.Join(errs...)
}

// Scale lets the control plane grow to five and shrink to three, and the workers with it.
func (r *Run) Scale(ctx context.Context) error {
	for _, size := range []struct {
		what                      string
		controlPlanes, metal, vms int
	}{
		{"the cluster to grow", 5, 3, 2},
		{"the cluster to shrink", 3, 2, 1},
	} {
		r.Timeline.Sayf("scaling to %d control planes, %d bare-metal workers and %d worker VMs", size.controlPlanes, size.metal, size.vms)
		if err := r.scaleTo(ctx, size.controlPlanes, size.metal, size.vms); err != nil {
			return err
		}
		if err := r.awaitSettled(ctx, size.what, size.controlPlanes, size.metal, size.vms); err != nil {
			return err
		}
		if err := r.checkBodies(size.controlPlanes + size.metal + size.vms); err != nil {
			return err
		}
	}
	return nil
}

func (r *Run) scaleTo(ctx context.Context, controlPlanes, metal, vms int) error {
	patch := func(object client.Object, name string, replicas int) error {
		return r.patch(ctx, object, name, fmt.Sprintf(`{"spec":{"replicas":%d}}`, replicas))
	}
	if err := patch(&controlplanev1.KubeadmControlPlane{}, controlPlaneName, controlPlanes); err != nil {
		return err
	}
	if err := patch(&clusterv1.MachineDeployment{}, metalName, metal); err != nil {
		return err
	}
	return patch(&clusterv1.MachineDeployment{}, vmName, vms)
}

// checkBodies wants as many machines switched on as the cluster has.
func (r *Run) checkBodies(want int) error {
	if on := r.fleet.On(); len(on) != want {
		return fmt.Errorf("%d machines are switched on, the cluster has %d: %v", len(on), want, on)
	}
	return nil
}

// Delete deletes the cluster and wants nothing of it left anywhere.
func (r *Run) Delete(ctx context.Context) error {
	cluster := &clusterv1.Cluster{}
	cluster.Namespace, cluster.Name = namespace, clusterName
	if err := r.management.Client.Delete(ctx, cluster); err != nil {
		return fmt.Errorf("delete the cluster: %w", err)
	}
	r.Timeline.Sayf("deleting cluster %s", clusterName)
	if err := r.await(ctx, "the cluster to be deleted", r.goneFromKubernetes); err != nil {
		return err
	}
	// Bare metal is given back before MAAS has finished with it.
	if err := r.await(ctx, "MAAS to be as before", func(context.Context) error { return r.goneFromMAAS() }); err != nil {
		return err
	}
	r.Timeline.Sayf("nothing is left in Kubernetes, MAAS, LXD or DNS")
	return r.deleteTemplates(ctx)
}

func (r *Run) goneFromKubernetes(ctx context.Context) error {
	s, err := r.look(ctx)
	if err != nil {
		return err
	}
	return s.gone(ctx, r.management.Client)
}

// gone says what is left of the cluster in a management cluster.
func (s *state) gone(ctx context.Context, c client.Reader) error {
	if s.cluster != nil || len(s.machines)+len(s.infra)+len(s.deployments) > 0 {
		return fmt.Errorf("%d machines, %d MaasMachines and %d deployments are left; cluster: %t", len(s.machines), len(s.infra), len(s.deployments), s.cluster != nil)
	}
	var left []string
	for _, kind := range []struct {
		list    client.ObjectList
		belongs func(client.Object) bool
	}{
		{&infrav1.MaasClusterList{}, always},
		{&controlplanev1.KubeadmControlPlaneList{}, always},
		{&clusterv1.MachineSetList{}, always},
		{&clusterv1.MachineHealthCheckList{}, always},
		{&bootstrapv1.KubeadmConfigList{}, always},
		{&infrav1.MaasMachineTemplateList{}, owned}, // those of a ClusterClass and of nobody stay
		{&corev1.SecretList{}, ofCluster},
	} {
		if err := c.List(ctx, kind.list, client.InNamespace(namespace)); err != nil {
			return err
		}
		err := meta.EachListItem(kind.list, func(item runtime.Object) error {
			if object, ok := item.(client.Object); ok && kind.belongs(object) {
				left = append(left, fmt.Sprintf("%T %s", object, object.GetName()))
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	if len(left) > 0 {
		return fmt.Errorf("%s are left", strings.Join(left, ", "))
	}
	return nil
}

func always(client.Object) bool { return true }

// owned says of a template that a cluster has taken it.
func owned(object client.Object) bool {
	return slices.ContainsFunc(object.GetOwnerReferences(), func(o metav1.OwnerReference) bool { return o.Kind == clusterv1.ClusterKind })
}

func ofCluster(object client.Object) bool {
	return object.GetLabels()[clusterv1.ClusterNameLabel] == clusterName
}

// deleteTemplates removes what belongs to no cluster, so that the sample can be applied again.
func (r *Run) deleteTemplates(ctx context.Context) error {
	objects, err := r.sample(region.Image, r.version)
	if err != nil {
		return err
	}
	for _, object := range objects {
		if err := r.management.Client.Delete(ctx, object); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("delete %s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
	return r.management.Client.DeleteAllOf(ctx, &infrav1.MaasMachineTemplate{}, client.InNamespace(namespace))
}
