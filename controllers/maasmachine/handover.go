package maasmachine

import (
	"context"
	"fmt"
	"strings"
	"time"

	"sigs.k8s.io/cluster-api/util/annotations"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/capmaas/capmaas/api/records"
	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/controllers/internal/pending"
	"github.com/capmaas/capmaas/controllers/internal/provisioner"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// withoutProof decides about a machine whose VMs are not proved to be gone: it may go all the same once an operator gives them
// up, or once their host has not answered for long enough and they stand on the cluster's list (docs/protocol-coverage.md 4.6). A
// machine that is being deleted keeps its control plane from being repaired.
func (r *Reconciler) withoutProof(ctx context.Context, s *scope, out provisioner.Outcome) (step, error) {
	if isAbandoned(s.record.object) {
		if err := r.abandon(ctx, s, s.record.object.Annotations[infrav1.AbandonVMAnnotation]); err != nil {
			return step{}, err
		}
		return r.letGo(ctx, s)
	}
	since, err := r.unreachableSince(ctx, s, out)
	if err != nil {
		return step{}, err
	}
	if since.IsZero() || !s.mayHandOver() {
		return r.stopped(ctx, s, stageDeleting, out), nil
	}
	left := r.Delays.HostLost - r.Clock().Sub(since)
	if left <= 0 {
		if err := r.handOver(ctx, s); err != nil {
			return step{}, err
		}
		return r.letGo(ctx, s)
	}
	next := r.stopped(ctx, s, stageDeleting, out)
	if left < next.after {
		r.Backoff.Hold(s.machine.UID, s.machine.Generation, left)
		next.after = left
	}
	return next, nil
}

// mayHandOver says whether the MaasCluster keeps a list for which its own deletion waits. One that somebody else manages has
// no finalizer of ours.
func (s *scope) mayHandOver() bool {
	return s.infra != nil && s.infra.Spec.OnHostLost != infrav1.Wait && !annotations.IsExternallyManaged(s.infra)
}

// isAbandoned says whether an operator gives up what cannot be proved to be gone of a machine that is being deleted. The
// annotation changes no generation, so a growing wait does not end by it.
func isAbandoned(m *infrav1.MaasMachine) bool {
	_, given := m.Annotations[infrav1.AbandonVMAnnotation]
	return given && !m.DeletionTimestamp.IsZero()
}

// unreachableSince is since when the VM's host has not answered; zero where it does, or where that is not known. It is
// stored, so that a manager that is restarted does not begin to count anew. Other failures say nothing about the host, and so
// does a MAAS that is too busy to ask it: it is, where a whole rack is lost.
func (r *Reconciler) unreachableSince(ctx context.Context, s *scope, out provisioner.Outcome) (time.Time, error) {
	stored := s.record.object.Annotations[infrav1.HostUnreachableSinceAnnotation]
	switch {
	case out.Is(lxdprovisionerv1.Reason_REASON_HOST_UNREACHABLE):
		if since, err := time.Parse(time.RFC3339, stored); err == nil {
			return since, nil
		}
		since := r.Clock().UTC().Truncate(time.Second)
		return since, r.annotate(ctx, s.record, func(annotations map[string]string) {
			annotations[infrav1.HostUnreachableSinceAnnotation] = since.Format(time.RFC3339)
		})
	case out.Is(lxdprovisionerv1.Reason_REASON_MAAS_BUSY), out.Is(lxdprovisionerv1.Reason_REASON_TOO_MANY_IN_FLIGHT):
		return time.Time{}, nil
	case out.Action == provisioner.Wait && stored != "":
		return time.Time{}, r.annotate(ctx, s.record, func(annotations map[string]string) {
			delete(annotations, infrav1.HostUnreachableSinceAnnotation)
		})
	default:
		return time.Time{}, nil
	}
}

// handOver puts what is left on the cluster's list.
func (r *Reconciler) handOver(ctx context.Context, s *scope) error {
	request := &lxdprovisionerv1.DeleteVMRequest{Attempts: s.record.attempts.protos(), Owner: ownerOf(s)}
	entry, err := pending.NewDeletion(s.machine.Name, s.machine.UID, request, *now(r.Clock))
	if err != nil {
		return err
	}
	if err := r.lists().Add(ctx, client.ObjectKeyFromObject(s.infra), entry); err != nil {
		return err
	}
	handedOver.Inc()
	names := strings.Join(entry.VMs, ", ")
	ctrl.LoggerFrom(ctx).Info("Handed the deletion over to the cluster, the host does not answer", "vms", names)
	r.event(s, eventWarning, infrav1.DeletionHandedOverReason, "the host does not answer; MaasCluster %s keeps on its list: %s", s.infra.Name, names)
	return nil
}

// abandon notes what an operator gave up.
func (r *Reconciler) abandon(ctx context.Context, s *scope, reason string) error {
	names := pending.Names(s.record.attempts.protos())
	if agent := s.machineRef().GetAgentName(); agent != "" {
		names = append(names, "the machine of "+agent)
	}
	if s.infra != nil {
		entry := records.Abandoned{Machine: s.machine.Name, VMs: names, Reason: reason, At: *now(r.Clock)}
		if err := r.lists().Abandon(ctx, client.ObjectKeyFromObject(s.infra), entry); err != nil {
			return err
		}
	}
	abandoned.Inc()
	ctrl.LoggerFrom(ctx).Info("An operator gave up what is left of the machine", "vms", names, "why", reason)
	r.event(s, eventWarning, "Abandoned", "given up without proof: %s (%s)", strings.Join(names, ", "), reason)
	return nil
}

// letGo lets the object go.
func (r *Reconciler) letGo(ctx context.Context, s *scope) (step, error) {
	if err := r.removeFinalizer(ctx, s); err != nil {
		return step{}, err
	}
	s.stage = stageGone
	r.Backoff.Succeed(s.machine.UID)
	return step{stop: true}, nil
}

func (r *Reconciler) lists() pending.Store {
	return pending.Store{Client: r.Client, Reader: r.APIReader}
}

// waysOut says what a person can do about a VM whose host does not answer.
func (s *scope) waysOut(after time.Duration) string {
	if s.machine.DeletionTimestamp.IsZero() {
		return "; bring the host back, or delete the Machine to have another in its place"
	}
	abandonment := fmt.Sprintf("annotate the MaasMachine with %s=<reason> to give the VMs up", infrav1.AbandonVMAnnotation)
	if !s.mayHandOver() {
		return "; bring the host back, or " + abandonment
	}
	return fmt.Sprintf("; bring the host back, or %s; after %s without an answer the MaasCluster keeps the VMs on its list and the machine goes",
		abandonment, after)
}
