package maasmachine

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/cluster-api/util"
	"sigs.k8s.io/cluster-api/util/annotations"
	capicontroller "sigs.k8s.io/cluster-api/util/controller"
	"sigs.k8s.io/cluster-api/util/predicates"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"

	"github.com/capmaas/capmaas/api/records"
	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/controllers/internal/pending"
	"github.com/capmaas/capmaas/controllers/internal/provisioner"
	"github.com/capmaas/capmaas/controllers/internal/tracing"
)

// mostDeletions is how many pending deletions one reconcile tries: each call may take its whole deadline.
const mostDeletions = 3

// PendingReconciler works off the pending deletions of MaasClusters.
type PendingReconciler struct {
	*Reconciler

	// next is where the last reconcile of a list stopped, so that hosts that stay away do not keep others from their turn.
	next turns
}

// SetupWithManager registers the reconciler.
func (r *PendingReconciler) SetupWithManager(ctx context.Context, mgr ctrl.Manager, options controller.Options) error {
	log := mgr.GetLogger().WithValues("controller", "pendingdeletion")
	err := capicontroller.NewControllerManagedBy(mgr, log).
		Named("pendingdeletion").
		For(&infrav1.MaasCluster{}).
		WithOptions(options).
		WithEventFilter(predicates.ResourceHasFilterLabel(mgr.GetScheme(), log, r.WatchFilter)).
		Complete(ctx, tracing.Reconciler("PendingDeletion", r))
	if err != nil {
		return fmt.Errorf("set up the controller of pending deletions: %w", err)
	}
	return nil
}

// Reconcile tries the deletions on one cluster's list.
func (r *PendingReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	infra := &infrav1.MaasCluster{}
	if err := r.Client.Get(ctx, req.NamespacedName, infra); apierrors.IsNotFound(err) {
		tellPending(req.NamespacedName, 0)
		return ctrl.Result{}, nil
	} else if err != nil {
		return ctrl.Result{}, fmt.Errorf("read MaasCluster %s: %w", req.NamespacedName, err)
	}
	all, err := records.Deletions(infra)
	if err != nil {
		return ctrl.Result{}, err // what was told of the list stays: nobody knows better
	}
	tellPending(req.NamespacedName, len(all))
	if len(all) == 0 {
		return ctrl.Result{}, nil
	}
	cluster, err := util.GetOwnerCluster(ctx, r.Client, infra.ObjectMeta)
	if client.IgnoreNotFound(err) != nil {
		return ctrl.Result{}, fmt.Errorf("get the owner Cluster: %w", err)
	}
	if annotations.HasPaused(infra) || cluster != nil && annotations.IsPaused(cluster, infra) {
		return ctrl.Result{}, nil
	}
	after := r.Delays.Slow
	for _, d := range r.next.some(infra.UID, all, mostDeletions) {
		out, err := r.tryPending(ctx, req.NamespacedName, d)
		if err != nil {
			return ctrl.Result{}, err
		}
		if out.Action == provisioner.Wait {
			after = min(after, out.Delay)
		}
	}
	return ctrl.Result{RequeueAfter: after}, nil
}

// tellPending sets the metric of one cluster's list.
func tellPending(cluster client.ObjectKey, deletions int) {
	if deletions == 0 {
		pendingDeletions.DeleteLabelValues(cluster.Namespace, cluster.Name)
		return
	}
	pendingDeletions.WithLabelValues(cluster.Namespace, cluster.Name).Set(float64(deletions))
}

// tryPending tries one deletion, and takes it off the list once its VMs are proved to be gone.
func (r *PendingReconciler) tryPending(ctx context.Context, cluster client.ObjectKey, d records.Deletion) (provisioner.Outcome, error) {
	ctx = tracing.With(ctx, string(d.UID))
	request, err := pending.Request(d)
	if err != nil {
		return provisioner.Outcome{}, err
	}
	if request.Hosts, err = r.expectations(ctx, d.UID, request.GetAttempts()); err != nil {
		return provisioner.Outcome{}, err
	}
	answer, err := r.Provisioner.VMs.DeleteVM(ctx, request)
	out := r.Delays.Of(err)
	log := ctrl.LoggerFrom(ctx).WithValues("vms", d.VMs, "maasMachine", d.Machine)
	switch {
	case out.Action != provisioner.Done:
		log.V(2).Info("A pending deletion still waits", "reason", out.Reason, "answer", out.Message)
		return out, nil
	case unproved(request.GetAttempts(), answer.GetAbsences()) != "":
		return provisioner.Outcome{Action: provisioner.Wait, Delay: r.Delays.Busy}, nil
	}
	log.Info("Finished a pending deletion", "handedOver", d.Since.UTC().Format(time.RFC3339))
	return out, r.lists().Remove(ctx, cluster, d.UID)
}
