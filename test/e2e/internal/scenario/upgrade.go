package scenario

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/types"
	controlplanev1 "sigs.k8s.io/cluster-api/api/controlplane/kubeadm/v1beta2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/test/e2e/internal/region"
)

// Upgrade replaces every machine by one of the newer patch release: the control plane first, then the workers, as Kubernetes wants it.
// Where it is disturbed, each half is.
func (r *Run) Upgrade(ctx context.Context) error {
	if r.before == "" {
		return errors.New("there is no version to upgrade from")
	}
	if err := r.upgradeControlPlane(ctx); err != nil {
		return err
	}
	if err := r.awaitUpgraded(ctx, "the control plane", true); err != nil {
		return err
	}
	if err := r.disturbAnew(ctx); err != nil {
		return fmt.Errorf("the control plane: %w", err)
	}
	for _, name := range []string{metalName, vmName} {
		if err := r.upgradeWorkers(ctx, name); err != nil {
			return err
		}
	}
	if err := r.awaitUpgraded(ctx, "the workers", false); err != nil {
		return err
	}
	return r.checkBodies(6)
}

// renew copies a machine template with the newer image, since templates do not change.
func (r *Run) renew(ctx context.Context, name string) (string, error) {
	before := &infrav1.MaasMachineTemplate{}
	if err := r.management.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, before); err != nil {
		return "", fmt.Errorf("get template %s: %w", name, err)
	}
	after := &infrav1.MaasMachineTemplate{Spec: *before.Spec.DeepCopy()}
	after.Namespace, after.Name = namespace, name+"-next"
	after.Spec.Template.Spec.Image = region.Image
	if err := r.insist(ctx, func(ctx context.Context) error { return r.management.Client.Create(ctx, after) }); err != nil {
		return "", fmt.Errorf("create template %s: %w", after.Name, err)
	}
	return after.Name, nil
}

func (r *Run) upgradeControlPlane(ctx context.Context) error {
	template, err := r.renew(ctx, controlPlaneName)
	if err != nil {
		return err
	}
	text := fmt.Sprintf(`{"spec":{"version":%q,"machineTemplate":{"spec":{"infrastructureRef":{"name":%q}}}}}`, r.version, template)
	return r.patch(ctx, &controlplanev1.KubeadmControlPlane{}, controlPlaneName, text)
}

func (r *Run) upgradeWorkers(ctx context.Context, name string) error {
	template, err := r.renew(ctx, name)
	if err != nil {
		return err
	}
	text := fmt.Sprintf(`{"spec":{"template":{"spec":{"version":%q,"infrastructureRef":{"name":%q}}}}}`, r.version, template)
	return r.patch(ctx, &clusterv1.MachineDeployment{}, name, text)
}

// patch changes an object as a user of kubectl patch does, who tries again while nobody admits it.
func (r *Run) patch(ctx context.Context, object client.Object, name, text string) error {
	object.SetNamespace(namespace)
	object.SetName(name)
	change := client.RawPatch(types.MergePatchType, []byte(text))
	if err := r.insist(ctx, func(ctx context.Context) error { return r.management.Client.Patch(ctx, object, change) }); err != nil {
		return fmt.Errorf("change %s: %w", name, err)
	}
	r.Timeline.Sayf("changed %s: %s", name, text)
	return nil
}

// awaitUpgraded waits until all machines of a kind are at the new version and everything is as it was before.
func (r *Run) awaitUpgraded(ctx context.Context, what string, controlPlane bool) error {
	r.Timeline.Sayf("upgrading %s from %s to %s", what, r.before, r.version)
	err := r.await(ctx, what+" to be upgraded", func(ctx context.Context) error {
		s, err := r.look(ctx)
		if err != nil {
			return err
		}
		return s.upgraded(controlPlane, r.version)
	})
	if err != nil {
		return err
	}
	return r.awaitSettled(ctx, what+" to be settled after its upgrade", 3, 2, 1)
}

// upgraded says what of a kind is not at a version yet.
func (s *state) upgraded(controlPlane bool, version string) error {
	for _, m := range s.machines {
		if _, ok := m.Labels[clusterv1.MachineControlPlaneLabel]; ok == controlPlane && m.Spec.Version != version {
			return fmt.Errorf("machine %s is at %s", m.Name, m.Spec.Version)
		}
	}
	return nil
}
