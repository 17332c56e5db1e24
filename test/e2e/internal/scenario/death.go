package scenario

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/ptr"
	controlplanev1 "sigs.k8s.io/cluster-api/api/controlplane/kubeadm/v1beta2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	"github.com/capmaas/capmaas/services/maassim"
)

// DeadVM lets a VM of the control plane die and waits until Cluster API has replaced it: its member has left etcd, its address DNS,
// and its VM LXD.
func (r *Run) DeadVM(ctx context.Context) error {
	victim, err := r.chooseVictim(ctx)
	if err != nil {
		return err
	}
	r.Timeline.Sayf("the VM %s of machine %s dies", victim.vm, victim.machine)
	if err := r.fleet.Kill(victim.vm); err != nil {
		return err
	}
	if err := r.awaitReplaced(ctx, victim); err != nil {
		return err
	}
	if r.inLXD(victim.vm) {
		return fmt.Errorf("the dead VM %s is still in LXD", victim.vm)
	}
	return r.endHealthChecks(ctx)
}

// DeadHost lets the LXD host under a VM of the control plane die. Its machine is replaced on another host while nobody can delete the
// VM; when the host is back, the VM is deleted after all.
func (r *Run) DeadHost(ctx context.Context) error {
	victim, err := r.chooseVictim(ctx)
	if err != nil {
		return err
	}
	r.Timeline.Sayf("the host %s under the VM %s of machine %s dies", victim.host, victim.vm, victim.machine)
	if err := r.loseHosts([]string{victim.host}, victim); err != nil {
		return err
	}
	if err := r.awaitReplaced(ctx, victim); err != nil {
		return err
	}
	r.Timeline.Sayf("the host %s is back", victim.host)
	if err := r.findHosts(ctx, victim.host); err != nil {
		return err
	}
	return r.endHealthChecks(ctx)
}

// loseHosts lets hosts die with what runs on them.
func (r *Run) loseHosts(hosts []string, victims ...victim) error {
	for _, host := range hosts {
		if err := r.sim.SetHostOffline(host, true); err != nil {
			return err
		}
		r.fleet.KillHost(host)
	}
	for _, v := range victims {
		r.lost = append(r.lost, v.vm)
	}
	return nil
}

// findHosts brings hosts back and waits until the VMs are gone that were replaced meanwhile.
func (r *Run) findHosts(ctx context.Context, hosts ...string) error {
	if err := r.await(ctx, "the VMs to be on the cluster's list", r.checkPending); err != nil {
		return err
	}
	for _, vm := range r.lost {
		if !r.inLXD(vm) {
			return fmt.Errorf("the VM %s went away from a host that is off", vm)
		}
	}
	for _, host := range hosts {
		if err := r.sim.SetHostOffline(host, false); err != nil {
			return err
		}
	}
	gone := r.lost
	r.lost = nil
	err := r.await(ctx, "the VMs to be deleted after all", func(ctx context.Context) error {
		s, err := r.look(ctx)
		if err != nil {
			return err
		}
		return errors.Join(r.checkNothingElse(s), r.checkPending(ctx))
	})
	if err == nil {
		r.Timeline.Sayf("gone from hosts that are back: %s", strings.Join(gone, ", "))
	}
	return err
}

// victim is a machine of the control plane, its VM and the host under it.
type victim struct{ machine, vm, host string }

// chooseVictim arranges that dead machines are replaced, and chooses one of the control plane whose death takes no worker along.
func (r *Run) chooseVictim(ctx context.Context) (victim, error) {
	s, err := r.expectDeath(ctx)
	if err != nil {
		return victim{}, err
	}
	workers := make(map[string]bool)
	var all []victim
	for _, m := range s.machines {
		infra := s.infra[m.Spec.InfrastructureRef.Name]
		sim, ok := r.sim.Machine(ptr.Deref(infra.Spec.SystemID, ""))
		switch {
		case !ok:
			return victim{}, fmt.Errorf("MAAS has no machine of %s", infra.Name)
		case strings.HasPrefix(m.Name, controlPlaneName):
			all = append(all, victim{machine: m.Name, vm: sim.Hostname, host: sim.Host})
		default:
			workers[sim.Host] = true
		}
	}
	for _, v := range all {
		if !workers[v.host] {
			return v, nil
		}
	}
	return victim{}, errors.New("every host of the control plane has a worker too")
}

// expectDeath arranges that dead VMs are replaced.
func (r *Run) expectDeath(ctx context.Context) (*state, error) {
	checks, err := r.healthChecks()
	if err != nil {
		return nil, err
	}
	if err := r.apply(ctx, checks); err != nil {
		return nil, err
	}
	// A node that is gone lets no pod go; users bound how long that is waited for.
	const drain = `{"spec":{"deletion":{"nodeDrainTimeoutSeconds":30}}}`
	if err := r.patch(ctx, &controlplanev1.KubeadmControlPlane{}, controlPlaneName, `{"spec":{"machineTemplate":`+drain+`}}`); err != nil {
		return nil, err
	}
	if err := r.patch(ctx, &clusterv1.MachineDeployment{}, vmName, `{"spec":{"template":`+drain+`}}`); err != nil {
		return nil, err
	}
	if err := r.awaitSettled(ctx, "the cluster to be well before a death", 3, 2, 1); err != nil {
		return nil, err
	}
	return r.look(ctx)
}

// awaitReplaced waits until the machines are gone and the cluster is whole without them.
func (r *Run) awaitReplaced(ctx context.Context, victims ...victim) error {
	err := r.await(ctx, "the dead to be replaced", func(ctx context.Context) error {
		s, err := r.look(ctx)
		if err != nil {
			return err
		}
		for _, m := range s.machines {
			if slices.ContainsFunc(victims, func(v victim) bool { return v.machine == m.Name }) {
				return fmt.Errorf("machine %s is there: %s", m.Name, condition(m.Status.Conditions, clusterv1.MachineHealthCheckSucceededCondition))
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := r.awaitSettled(ctx, "the cluster to be whole again", 3, 2, 1); err != nil {
		return err
	}
	return r.checkBodies(6)
}

func (r *Run) inLXD(vm string) bool {
	return slices.ContainsFunc(r.sim.LXD(), func(i maassim.Instance) bool { return i.Name == vm })
}

func (r *Run) endHealthChecks(ctx context.Context) error {
	checks, err := r.healthChecks()
	if err != nil {
		return err
	}
	for _, check := range checks {
		if err := r.management.Client.Delete(ctx, check); err != nil {
			return fmt.Errorf("delete the health check %s: %w", check.GetName(), err)
		}
	}
	return nil
}

// healthChecks are those of deploy/samples/healthchecks.yaml that find machines in VMs, impatient.
func (r *Run) healthChecks() ([]*unstructured.Unstructured, error) {
	checks, err := r.readSample("healthchecks.yaml")
	if err != nil {
		return nil, err
	}
	checks = slices.DeleteFunc(checks, func(check *unstructured.Unstructured) bool { return check.GetName() == metalName })
	for _, check := range checks {
		silent, _, err := unstructured.NestedSlice(check.Object, "spec", "checks", "unhealthyNodeConditions")
		if err != nil {
			return nil, err
		}
		for _, condition := range silent {
			condition.(map[string]any)["timeoutSeconds"] = int64(10) //nolint:forcetypeassert // a list of objects, as the schema has it
		}
		if err := unstructured.SetNestedSlice(check.Object, silent, "spec", "checks", "unhealthyNodeConditions"); err != nil {
			return nil, err
		}
	}
	return checks, nil
}
