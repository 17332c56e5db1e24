package scenario

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/utils/ptr"
	controlplanev1 "sigs.k8s.io/cluster-api/api/controlplane/kubeadm/v1beta2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
)

// DeadZone lets a zone with a control plane and the worker VM lose its power. The cluster's API server answers meanwhile, and the machines
// are replaced in the zones that remain. Once the zone is back, its VMs go, and a roll-out spreads the control plane again.
func (r *Run) DeadZone(ctx context.Context) error {
	zone, hosts, victims, err := r.chooseZone(ctx)
	if err != nil {
		return err
	}
	end, err := r.attend(ctx)
	if err != nil {
		return err
	}
	r.Timeline.Sayf("zone %s loses its power: hosts %s, and on them %v", zone, strings.Join(hosts, ", "), victims)
	r.zones = zones - 1
	err = r.loseHosts(hosts, victims...)
	if err == nil {
		err = r.awaitReplaced(ctx, victims...)
	}
	if err := errors.Join(err, end()); err != nil {
		return err
	}
	r.Timeline.Sayf("zone %s is back", zone)
	if err := r.findHosts(ctx, hosts...); err != nil {
		return err
	}
	r.zones = zones
	if err := r.awaitZones(ctx); err != nil {
		return err
	}
	if err := r.rollOut(ctx); err != nil {
		return err
	}
	return r.endHealthChecks(ctx)
}

// chooseZone arranges that dead VMs are replaced, and chooses the zone of the worker VM.
func (r *Run) chooseZone(ctx context.Context) (zone string, hosts []string, victims []victim, err error) {
	s, err := r.expectDeath(ctx)
	if err != nil {
		return "", nil, nil, err
	}
	for _, m := range s.machines {
		if m.Labels[clusterv1.MachineDeploymentNameLabel] == vmName {
			zone = s.infra[m.Spec.InfrastructureRef.Name].Status.FailureDomain
		}
	}
	for _, m := range r.sim.Machines() {
		if m.VMHost && m.Zone == zone {
			hosts = append(hosts, m.Hostname)
		}
	}
	for _, m := range s.machines {
		infra := s.infra[m.Spec.InfrastructureRef.Name]
		vm, ok := r.sim.Machine(ptr.Deref(infra.Spec.SystemID, ""))
		if !ok {
			return "", nil, nil, fmt.Errorf("MAAS has no machine of %s", infra.Name)
		}
		if slices.Contains(hosts, vm.Host) {
			victims = append(victims, victim{machine: m.Name, vm: vm.Hostname, host: vm.Host})
		}
	}
	if len(victims) != 2 {
		return "", nil, nil, fmt.Errorf("in zone %q of the worker VM are %v, not one control plane besides", zone, victims)
	}
	return zone, hosts, victims, nil
}

// awaitZones waits until Cluster API may send control planes to every zone with hosts.
func (r *Run) awaitZones(ctx context.Context) error {
	return r.await(ctx, "the zones to be failure domains", func(ctx context.Context) error {
		s, err := r.look(ctx)
		if err != nil {
			return err
		}
		var open []string
		for _, domain := range s.cluster.Status.FailureDomains {
			if ptr.Deref(domain.ControlPlane, false) {
				open = append(open, domain.Name)
			}
		}
		if len(open) != r.zones {
			return fmt.Errorf("control planes may go to %v", open)
		}
		return nil
	})
}

// rollOut replaces the machines of the control plane one by one.
func (r *Run) rollOut(ctx context.Context) error {
	after := r.Now().UTC().Truncate(time.Second)
	text := fmt.Sprintf(`{"spec":{"rollout":{"after":%q}}}`, after.Format(time.RFC3339))
	if err := r.patch(ctx, &controlplanev1.KubeadmControlPlane{}, controlPlaneName, text); err != nil {
		return err
	}
	err := r.await(ctx, "the control plane to be rolled out", func(ctx context.Context) error {
		s, err := r.look(ctx)
		if err != nil {
			return err
		}
		for _, m := range s.machines {
			if _, ok := m.Labels[clusterv1.MachineControlPlaneLabel]; ok && m.CreationTimestamp.Time.Before(after) {
				return fmt.Errorf("machine %s is there", m.Name)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := r.awaitSettled(ctx, "the control plane to be spread again", 3, 2, 1); err != nil {
		return err
	}
	return r.checkBodies(6)
}
