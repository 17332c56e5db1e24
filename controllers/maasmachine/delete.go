package maasmachine

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	clusterctlv1 "sigs.k8s.io/cluster-api/cmd/clusterctl/api/v1alpha3"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/controllers/internal/endpoint"
	"github.com/capmaas/capmaas/controllers/internal/provisioner"
	"github.com/capmaas/capmaas/proto/errorinfo"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// reconcileDelete gives back what the machine holds, and lets the object go once that is proved. What it holds is told by
// the annotations alone, whatever the spec says by then.
func (r *Reconciler) reconcileDelete(ctx context.Context, s *scope) (step, error) {
	s.stage = stageDeleting
	if !controllerutil.ContainsFinalizer(s.machine, infrav1.MachineFinalizer) {
		s.stage = stageGone
		return step{stop: true}, nil
	}
	var err error
	if s.record, err = r.readRecord(ctx, client.ObjectKeyFromObject(s.machine)); apierrors.IsNotFound(err) {
		s.stage = stageGone
		return step{stop: true}, nil
	} else if err != nil {
		return step{}, err
	}
	s.current = s.record.attempts.current()
	if !isAbandoned(s.record.object) {
		if next, err := r.waitForDetach(ctx, s); err != nil || next.stop {
			return next, err
		}
	}
	out, err := r.giveBack(ctx, s)
	if err != nil {
		return step{}, err
	}
	if out.Action != provisioner.Done {
		return r.withoutProof(ctx, s, out)
	}
	return r.letGo(ctx, s)
}

// giveBack deletes every VM that was attempted and releases every physical machine that is held.
func (r *Reconciler) giveBack(ctx context.Context, s *scope) (provisioner.Outcome, error) {
	if len(s.record.attempts) == 0 && s.machineRef().GetAgentName() == "" && mayBeTheirs(s.record.object) {
		if out, err := r.takeOverDeleted(ctx, s); err != nil || out.Action != provisioner.Done {
			return out, err
		}
	}
	all := s.record.attempts
	if len(all) > 0 {
		out, err := r.deleteVMs(ctx, s, all)
		if err != nil || out.Action != provisioner.Done {
			return s.waitingForDeletion(out, all, r.Delays.HostLost), err
		}
	}
	agent := s.machineRef().GetAgentName()
	if agent != "" {
		_, err := r.Provisioner.Metal.ReleaseMachine(ctx, &lxdprovisionerv1.ReleaseMachineRequest{
			Machine: s.machineRef(), Owner: ownerOf(s), SentAt: r.allocationSentAt(s),
		})
		if out := r.nothingElse(r.Delays.Of(err)); out.Action != provisioner.Done && !out.Absent {
			out.Message = fmt.Sprintf("waiting for the machine of %s to be released: %s%s", agent, out.Message, s.wayOut(out, r.Delays.HostLost))
			return out, nil
		}
		ctrl.LoggerFrom(ctx).Info("Released the machine", "agentName", agent)
		r.event(s, eventNormal, "SuccessfulRelease", "the machine is released")
	}
	return provisioner.Outcome{Action: provisioner.Done}, nil
}

// deleteVMs deletes what the attempts made, with proof.
func (r *Reconciler) deleteVMs(ctx context.Context, s *scope, some attempts) (provisioner.Outcome, error) {
	protos := some.protos()
	hosts, err := r.expectations(ctx, s.machine.UID, protos)
	if err != nil {
		return provisioner.Outcome{}, err
	}
	answer, err := r.Provisioner.VMs.DeleteVM(ctx, &lxdprovisionerv1.DeleteVMRequest{Attempts: protos, Owner: ownerOf(s), Hosts: hosts})
	out := r.nothingElse(r.Delays.Of(err))
	if out.Action != provisioner.Done {
		return out, nil
	}
	if missing := unproved(protos, answer.GetAbsences()); missing != "" {
		return provisioner.Outcome{
			Action: provisioner.Wait, Reason: errorinfo.Word(lxdprovisionerv1.Reason_REASON_DELETION_IN_PROGRESS),
			Message: "the provisioner gave no proof for " + missing, Delay: r.Delays.Busy,
		}, nil
	}
	for _, absence := range answer.GetAbsences() {
		ctrl.LoggerFrom(ctx).Info("Deleted a VM", "vm", absence.GetName(), "proof", absence.GetProof().String())
		r.event(s, eventNormal, "Deleted", "VM %s is gone (%s)", absence.GetName(), absence.GetProof())
	}
	return out, nil
}

// unproved gives the name of an attempt without a proof of absence; empty where each has one.
func unproved(some []*lxdprovisionerv1.Attempt, absences []*lxdprovisionerv1.Absence) string {
	for _, one := range some {
		proves := func(a *lxdprovisionerv1.Absence) bool { return a.GetName() == one.GetName() }
		if !slices.ContainsFunc(absences, proves) {
			return one.GetName()
		}
	}
	return ""
}

// waitForDetach waits until the DNS record has let go of a control plane's address, so that no client is sent to a machine
// that is going. The last address stays: it goes with its machine, and the record with the cluster.
func (r *Reconciler) waitForDetach(ctx context.Context, s *scope) (step, error) {
	if !s.isControlPlane() || s.infra == nil || endpoint.IsCustom(s.infra) || !s.infra.DeletionTimestamp.IsZero() {
		return proceed, nil
	}
	if s.cluster != nil && !s.cluster.DeletionTimestamp.IsZero() {
		return proceed, nil
	}
	recorded := endpoint.Recorded(s.infra)
	ours := endpoint.IPs(s.machine.Status.Addresses)
	others := slices.ContainsFunc(recorded, func(ip string) bool { return !slices.Contains(ours, ip) })
	if !endpoint.Holds(recorded, s.machine.Status.Addresses) || !others {
		return proceed, nil
	}
	passedOn, err := r.passedOn(ctx, s, ours)
	if err != nil || passedOn {
		return proceed, err
	}
	s.waiting = fmt.Sprintf("waiting for the DNS record to let go of the machine's address; where MAAS can't write it any more, "+
		"annotate the MaasMachine with %s=<reason> to give its VMs up", infrav1.AbandonVMAnnotation)
	return stopFor(r.Delays.Working), nil
}

// passedOn says whether other machines of the cluster hold all of the addresses by now: where a machine is gone behind our
// back MAAS gives them to the next one, which keeps them in the record.
func (r *Reconciler) passedOn(ctx context.Context, s *scope, ours []string) (bool, error) {
	machines := &infrav1.MaasMachineList{}
	selector := client.MatchingLabels{clusterv1.ClusterNameLabel: s.machine.Labels[clusterv1.ClusterNameLabel]}
	if err := r.Client.List(ctx, machines, client.InNamespace(s.machine.Namespace), selector); err != nil {
		return false, fmt.Errorf("list MaasMachines: %w", err)
	}
	var theirs []string
	for i := range machines.Items {
		if m := &machines.Items[i]; m.UID != s.machine.UID && m.DeletionTimestamp.IsZero() {
			theirs = append(theirs, endpoint.IPs(m.Status.Addresses)...)
		}
	}
	return !slices.ContainsFunc(ours, func(ip string) bool { return !slices.Contains(theirs, ip) }), nil
}

// removeFinalizer lets the object go. The lock makes sure that nobody has stored an attempt since it was read.
func (r *Reconciler) removeFinalizer(ctx context.Context, s *scope) error {
	object := s.record.object
	before := object.DeepCopy()
	controllerutil.RemoveFinalizer(object, infrav1.MachineFinalizer)
	controllerutil.RemoveFinalizer(object, infrav1.HostEvacuationFinalizer)
	if object.Annotations[clusterctlv1.BlockMoveAnnotation] == blockMoveValue {
		delete(object.Annotations, clusterctlv1.BlockMoveAnnotation)
	}
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := r.Client.Patch(ctx, object, patch); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("remove the finalizer: %w", err)
	}
	ctrl.LoggerFrom(ctx).Info("Removed the finalizer, nothing of the machine is left")
	return nil
}

// waitingForDeletion says what is waited for and which ways out there are.
func (s *scope) waitingForDeletion(out provisioner.Outcome, some attempts, hostLost time.Duration) provisioner.Outcome {
	var names []string
	for i := range some {
		names = append(names, fmt.Sprintf("%s on host %s", some[i].Name, some[i].HostName))
	}
	out.Message = fmt.Sprintf("waiting for the proof that these VMs are gone: %s: %s%s", strings.Join(names, ", "), out.Message, s.wayOut(out, hostLost))
	return out
}

// wayOut says what a person can do about a deletion that waits.
func (s *scope) wayOut(out provisioner.Outcome, hostLost time.Duration) string {
	switch {
	case out.Is(lxdprovisionerv1.Reason_REASON_MACHINE_LOCKED):
		return "; unlock the machine in MAAS"
	case out.Is(lxdprovisionerv1.Reason_REASON_HOST_UNREACHABLE):
		return s.waysOut(hostLost)
	case out.Is(lxdprovisionerv1.Reason_REASON_MAAS_LOST_MACHINES):
		return "; bring the missing machines back into MAAS, or tag the host capmaas-no-refresh to go without the proof"
	default:
		return ""
	}
}
