package scenario

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	controlplanev1 "sigs.k8s.io/cluster-api/api/controlplane/kubeadm/v1beta2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
)

// state is what Kubernetes says of the cluster at one moment.
type state struct {
	cluster      *clusterv1.Cluster // nil where there is none
	controlPlane *controlplanev1.KubeadmControlPlane
	deployments  []clusterv1.MachineDeployment
	machines     []clusterv1.Machine
	infra        map[string]infrav1.MaasMachine // by name
}

// look reads the state and puts what has changed in the time line.
func (r *Run) look(ctx context.Context) (*state, error) {
	s, err := read(ctx, r.management.Client)
	if err == nil {
		r.tell(s)
	}
	return s, err
}

// read reads the state of one management cluster.
func read(ctx context.Context, c client.Reader) (*state, error) {
	s := &state{cluster: &clusterv1.Cluster{}, controlPlane: &controlplanev1.KubeadmControlPlane{}, infra: make(map[string]infrav1.MaasMachine)}
	if err := c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: clusterName}, s.cluster); client.IgnoreNotFound(err) != nil {
		return nil, err
	} else if err != nil {
		s.cluster = nil
	}
	if err := c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: controlPlaneName}, s.controlPlane); client.IgnoreNotFound(err) != nil {
		return nil, err
	} else if err != nil {
		s.controlPlane = nil
	}
	var deployments clusterv1.MachineDeploymentList
	var machines clusterv1.MachineList
	var infra infrav1.MaasMachineList
	for _, list := range []client.ObjectList{&deployments, &machines, &infra} {
		if err := c.List(ctx, list, client.InNamespace(namespace)); err != nil {
			return nil, err
		}
	}
	s.deployments, s.machines = deployments.Items, machines.Items
	for _, m := range infra.Items {
		s.infra[m.Name] = m
	}
	return s, nil
}

func (r *Run) tell(s *state) {
	cluster := make(map[string]string)
	if s.cluster != nil {
		cluster[s.cluster.Name] = condition(s.cluster.Status.Conditions, clusterv1.AvailableCondition)
	}
	r.Timeline.Changes("Cluster", cluster)
	machines := make(map[string]string)
	for _, m := range s.machines {
		infra := s.infra[m.Spec.InfrastructureRef.Name]
		machines[m.Name] = fmt.Sprintf("%s %s, ready %s; %s %s", m.Status.Phase, m.Spec.Version, status(m.Status.Conditions, clusterv1.ReadyCondition),
			infra.Status.FailureDomain, doing(&infra))
	}
	r.Timeline.Changes("Machine", machines)
	records := make(map[string]string)
	for _, record := range r.sim.DNSRecords() {
		slices.Sort(record.IPs)
		records[record.FQDN] = strings.Join(record.IPs, " ")
	}
	r.Timeline.Changes("DNS", records)
}

// doing is what the Ready condition of a MaasMachine says that it waits for.
func doing(m *infrav1.MaasMachine) string {
	ready := meta.FindStatusCondition(m.Status.Conditions, clusterv1.ReadyCondition)
	if ready == nil || ready.Status == metav1.ConditionTrue {
		return ""
	}
	return firstLine(ready.Reason + ": " + ready.Message)
}

func status(conditions []metav1.Condition, kind string) metav1.ConditionStatus {
	if found := meta.FindStatusCondition(conditions, kind); found != nil {
		return found.Status
	}
	return metav1.ConditionUnknown
}

func condition(conditions []metav1.Condition, kind string) string {
	found := meta.FindStatusCondition(conditions, kind)
	if found == nil {
		return kind + " is not known yet"
	}
	return fmt.Sprintf("%s %s %s", kind, found.Status, strings.ReplaceAll(found.Message, "\n", " "))
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// settled says what the cluster lacks of being there as it is wanted: available, every machine running and ready, none too many.
func (s *state) settled(controlPlanes, metal, vms int) error {
	if s.cluster == nil || s.controlPlane == nil {
		return fmt.Errorf("there is no cluster")
	}
	if got := status(s.cluster.Status.Conditions, clusterv1.AvailableCondition); got != metav1.ConditionTrue {
		return fmt.Errorf("cluster: %s", condition(s.cluster.Status.Conditions, clusterv1.AvailableCondition))
	}
	have := make(map[string]int)
	for _, m := range s.machines {
		if m.Status.Phase != string(clusterv1.MachinePhaseRunning) || status(m.Status.Conditions, clusterv1.ReadyCondition) != metav1.ConditionTrue {
			return fmt.Errorf("machine %s is %s: %s", m.Name, m.Status.Phase, condition(m.Status.Conditions, clusterv1.ReadyCondition))
		}
		group := m.Labels[clusterv1.MachineDeploymentNameLabel]
		if _, ok := m.Labels[clusterv1.MachineControlPlaneLabel]; ok {
			group = controlPlaneName
		}
		have[group]++
	}
	for group, want := range map[string]int{controlPlaneName: controlPlanes, metalName: metal, vmName: vms} {
		if have[group] != want {
			return fmt.Errorf("%s has %d machines, want %d", group, have[group], want)
		}
	}
	return nil
}
