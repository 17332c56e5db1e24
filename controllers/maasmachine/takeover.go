package maasmachine

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/capmaas/capmaas/api/providerid"
	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/controllers/internal/provisioner"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// theirNamePrefix begins the name in MAAS of every VM that the existing provider made.
const theirNamePrefix = "vm-"

// vmNamePattern is the shape of names that the contract takes.
var vmNamePattern = regexp.MustCompile(`^[a-z]([a-z0-9-]*[a-z0-9])?$`)

// untracked says whether nothing is stored by which the service could tell the machine: the existing provider stores
// neither attempts nor an agent name, and a MaasMachine that was made anew from its spec has lost them.
func (s *scope) untracked() bool {
	if s.isVM() {
		return s.current == nil
	}
	return s.machineRef().GetAgentName() == ""
}

// mayBeTheirs says whether the existing provider may have made something for the object: it stores a VM's name before it
// composes, and the system id when it has.
func mayBeTheirs(m *infrav1.MaasMachine) bool {
	return wasDeployed(m) || m.Spec.SystemID != nil || m.Spec.Mode() == infrav1.ModeLXD && m.Annotations[infrav1.VMNameAnnotation] != ""
}

// takeOver makes a machine ours that was deployed and of which nothing is stored: the service marks it in MAAS, where it
// proves that it is the one, and what tells it from others is stored. Nothing else is done to the machine, and its provider ID
// stays (docs/adr/0006, 0010). The outcome is absent where MAAS has no such machine or nobody holds it.
func (r *Reconciler) takeOver(ctx context.Context, s *scope) (provisioner.Outcome, error) {
	rec, err := r.readRecord(ctx, client.ObjectKeyFromObject(s.machine))
	if err != nil {
		return provisioner.Outcome{}, err
	}
	s.record, s.current = rec, rec.attempts.current()
	if !s.untracked() {
		return provisioner.Outcome{Action: provisioner.Done}, nil
	}
	systemID := systemIDOf(&rec.object.Spec)
	if systemID == "" {
		return r.refusal(lxdprovisionerv1.Reason_REASON_NOT_SUPPORTED, fmt.Sprintf(
			"another provider began to make %s, and its system id is not known; look for it in MAAS",
			cmp.Or(rec.object.Annotations[infrav1.VMNameAnnotation], "this machine"))), nil
	}
	if clusterIDOf(s) == "" {
		return provisioner.Outcome{Action: provisioner.Wait, Message: "waiting for the MaasCluster to have an id", Delay: r.Delays.Busy}, nil
	}
	agent := agentNameOf(s.machine)
	answer, err := r.Provisioner.Region.TakeOverMachine(ctx, &lxdprovisionerv1.TakeOverMachineRequest{
		SystemId: systemID, AgentName: agent, Owner: ownerOf(s), Names: theirNames(rec.object),
	})
	if out := r.nothingElse(r.Delays.Of(err)); out.Action != provisioner.Done {
		return out, nil
	}
	if s.isVM() != (answer.GetVm() != nil) {
		return r.refusal(lxdprovisionerv1.Reason_REASON_NAME_TAKEN, fmt.Sprintf(
			"machine %s in MAAS is not of the mode %s", systemID, s.machine.Spec.Mode())), nil
	}
	if s.isVM() {
		err = r.storeTakenVM(ctx, s, answer.GetVm())
	} else {
		s.found = foundMachine(answer.GetMachine())
		err = r.storeTakenMachine(ctx, s, agent)
	}
	if err != nil {
		return provisioner.Outcome{}, err
	}
	ctrl.LoggerFrom(ctx).Info("Took over a machine that was deployed before", "systemID", systemID)
	r.event(s, eventNormal, "TakenOver", "machine %s was deployed before and is looked after from now on", systemID)
	return provisioner.Outcome{Action: provisioner.Done}, nil
}

// storeTakenVM stores the VM as an attempt that is settled. LXD keeps the name under which the existing provider composed
// it, and MAAS shows the one to which it was renamed: both have to be gone in the end.
func (r *Reconciler) storeTakenVM(ctx context.Context, s *scope, vm *lxdprovisionerv1.VM) error {
	one := attempt{
		Number: 1, Name: vm.GetName(), HostID: vm.GetHostId(), HostName: vm.GetHostName(), SystemID: vm.GetSystemId(),
		SentAt: new(metav1.NewTime(s.machine.CreationTimestamp.Time)), Settled: true,
	}
	all := attempts{one}
	if first := s.record.object.Annotations[infrav1.VMNameAnnotation]; first != one.Name && vmNamePattern.MatchString(first) {
		composed := one
		composed.Name, composed.SystemID, composed.GivenUp = first, "", true
		one.Number = 2
		all = attempts{composed, one}
	}
	if err := r.store(ctx, s.record, all, clusterIDOf(s)); err != nil {
		return err
	}
	s.current, s.found = s.record.attempts.current(), foundVM(vm)
	return nil
}

// storeTakenMachine stores the agent name under which the service knows the machine.
func (r *Reconciler) storeTakenMachine(ctx context.Context, s *scope, agent string) error {
	clusterID := clusterIDOf(s)
	return r.annotate(ctx, s.record, func(annotations map[string]string) {
		annotations[infrav1.BareMetalAgentNameAnnotation] = agent
		annotations[infrav1.ClusterIDAnnotation] = clusterID
	})
}

// takeOverRunning takes a running machine over and says what is so where it can't be.
func (r *Reconciler) takeOverRunning(ctx context.Context, s *scope) (step, error) {
	out, err := r.takeOver(ctx, s)
	switch {
	case err != nil:
		return step{}, err
	case out.Absent:
		s.absent = true
		return r.stopped(ctx, s, stageRunning, out), nil
	case out.Action != provisioner.Done:
		return r.stopped(ctx, s, stageRunning, out), nil
	}
	return proceed, nil
}

// takeOverDeleted takes a machine over that is to go. A physical one that nobody holds needs no giving back; of a VM that
// MAAS does not know the host is not known either, so that nothing proves it gone.
func (r *Reconciler) takeOverDeleted(ctx context.Context, s *scope) (provisioner.Outcome, error) {
	out, err := r.takeOver(ctx, s)
	if err != nil || out.Action == provisioner.Done {
		return out, err
	}
	if out.Absent && !s.isVM() {
		return provisioner.Outcome{Action: provisioner.Done}, nil
	}
	out.Message = fmt.Sprintf("the machine can't be taken over: %s; see in MAAS and LXD that nothing is left, and annotate the MaasMachine with %s=<reason>",
		out.Message, infrav1.AbandonVMAnnotation)
	return out, nil
}

// systemIDOf is the system id that the existing provider stored, by itself or in the provider ID; empty where there is none.
func systemIDOf(spec *infrav1.MaasMachineSpec) string {
	if id := ptr.Deref(spec.SystemID, ""); id != "" {
		return id
	}
	id, err := providerid.Parse(ptr.Deref(spec.ProviderID, ""))
	if err != nil {
		return ""
	}
	return id.SystemID
}

// theirNames are the names that the machine may have in MAAS: the one that status tells, and for a VM those that the
// existing provider gives.
func theirNames(m *infrav1.MaasMachine) []string {
	names := []string{ptr.Deref(m.Status.Hostname, "")}
	for _, a := range m.Status.Addresses {
		if a.Type == clusterv1.MachineInternalDNS || a.Type == clusterv1.MachineExternalDNS {
			names = append(names, a.Address)
		}
	}
	if m.Spec.Mode() == infrav1.ModeLXD {
		names = append(names, m.Annotations[infrav1.VMNameAnnotation], theirNamePrefix+m.Name)
		for _, owner := range m.OwnerReferences {
			if owner.Kind == "Machine" {
				names = append(names, theirNamePrefix+owner.Name)
			}
		}
	}
	slices.Sort(names)
	names = slices.DeleteFunc(slices.Compact(names), func(n string) bool { return strings.TrimSpace(n) == "" })
	return names[:min(len(names), mostNames)]
}

// mostNames is how many names the contract takes.
const mostNames = 16
