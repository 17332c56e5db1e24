package scenario

import (
	"context"
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	controlplanev1 "sigs.k8s.io/cluster-api/api/controlplane/kubeadm/v1beta2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// DeadVM lets a VM of the control plane die and waits until Cluster API has replaced it: its member has left etcd, its address DNS,
// and its VM LXD.
func (r *Run) DeadVM(ctx context.Context) error {
	check := healthCheck()
	if err := r.management.Client.Create(ctx, check); client.IgnoreAlreadyExists(err) != nil {
		return fmt.Errorf("create the health check: %w", err)
	}
	// A node that is gone lets no pod go; users bound how long that is waited for.
	drain := `{"spec":{"machineTemplate":{"spec":{"deletion":{"nodeDrainTimeoutSeconds":30}}}}}`
	if err := r.patch(ctx, &controlplanev1.KubeadmControlPlane{}, controlPlaneName, drain); err != nil {
		return err
	}
	if err := r.awaitSettled(ctx, "the cluster to be well before a VM dies", 3, 2, 1); err != nil {
		return err
	}
	s, err := r.look(ctx)
	if err != nil {
		return err
	}
	victim, hostname, err := r.firstControlPlane(s)
	if err != nil {
		return err
	}
	r.Timeline.Sayf("the VM %s of machine %s dies", hostname, victim)
	if err := r.fleet.Kill(hostname); err != nil {
		return err
	}
	err = r.await(ctx, "the dead VM's machine to be replaced", func(ctx context.Context) error {
		s, err := r.look(ctx)
		if err != nil {
			return err
		}
		for _, m := range s.machines {
			if m.Name == victim {
				return fmt.Errorf("machine %s is there: %s", victim, condition(m.Status.Conditions, clusterv1.MachineHealthCheckSucceededCondition))
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
	for _, i := range r.sim.LXD() {
		if i.Name == hostname {
			return fmt.Errorf("the dead VM %s is still in LXD", hostname)
		}
	}
	return errors.Join(r.checkBodies(6), r.management.Client.Delete(ctx, check))
}

// firstControlPlane is a machine of the control plane and the hostname of its VM.
func (r *Run) firstControlPlane(s *state) (name, hostname string, err error) {
	for _, m := range s.machines {
		if !strings.HasPrefix(m.Name, controlPlaneName) {
			continue
		}
		infra := s.infra[m.Spec.InfrastructureRef.Name]
		sim, ok := r.sim.Machine(ptrTo(infra.Spec.SystemID))
		if !ok {
			return "", "", fmt.Errorf("MAAS has no machine of %s", infra.Name)
		}
		return m.Name, sim.Hostname, nil
	}
	return "", "", errors.New("the cluster has no control plane")
}

// healthCheck finds control-plane machines whose nodes are silent.
func healthCheck() *clusterv1.MachineHealthCheck {
	silent := func(status corev1.ConditionStatus) clusterv1.UnhealthyNodeCondition {
		return clusterv1.UnhealthyNodeCondition{Type: corev1.NodeReady, Status: status, TimeoutSeconds: new(int32(10))}
	}
	return &clusterv1.MachineHealthCheck{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: controlPlaneName},
		Spec: clusterv1.MachineHealthCheckSpec{
			ClusterName: clusterName,
			Selector: metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
				{Key: clusterv1.MachineControlPlaneLabel, Operator: metav1.LabelSelectorOpExists},
			}},
			Checks: clusterv1.MachineHealthCheckChecks{
				UnhealthyNodeConditions: []clusterv1.UnhealthyNodeCondition{silent(corev1.ConditionUnknown), silent(corev1.ConditionFalse)},
			},
		},
	}
}
