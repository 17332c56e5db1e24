package orphans

import (
	"context"
	"fmt"

	capicontroller "sigs.k8s.io/cluster-api/util/controller"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
)

// +kubebuilder:rbac:groups=infrastructure.cluster.x-k8s.io,resources=maasmachines,verbs=get;list;watch
// +kubebuilder:rbac:groups=infrastructure.cluster.x-k8s.io,resources=maasclusters,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// SetupWithManager adds the sweeps to the manager, and lets one begin whenever somebody asks for orphans to be removed.
func (s *Sweep) SetupWithManager(ctx context.Context, mgr ctrl.Manager, options controller.Options) error {
	if err := mgr.Add(s); err != nil {
		return fmt.Errorf("add the search for orphans: %w", err)
	}
	log := mgr.GetLogger().WithValues("controller", "orphanremoval")
	err := capicontroller.NewControllerManagedBy(mgr, log).
		Named("orphanremoval").
		For(&infrav1.MaasCluster{}).
		WithOptions(options).
		WithEventFilter(newRequest).
		Complete(ctx, asker{s})
	if err != nil {
		return fmt.Errorf("set up the controller of orphans' removal: %w", err)
	}
	return nil
}

// asker asks for a sweep, which reads the request itself.
type asker struct{ sweep *Sweep }

// Reconcile asks for a sweep.
func (a asker) Reconcile(context.Context, ctrl.Request) (ctrl.Result, error) {
	a.sweep.Ask()
	return ctrl.Result{}, nil
}

// newRequest lets through what brings a request or a confirmation that was not there.
var newRequest = predicate.Funcs{
	CreateFunc: func(e event.CreateEvent) bool { return request(e.Object) != "" },
	UpdateFunc: func(e event.UpdateEvent) bool {
		return request(e.ObjectNew) != "" && request(e.ObjectNew) != request(e.ObjectOld)
	},
	DeleteFunc:  func(event.DeleteEvent) bool { return false },
	GenericFunc: func(event.GenericEvent) bool { return false },
}

func request(o client.Object) string {
	asked := o.GetAnnotations()[infrav1.RemoveOrphansAnnotation]
	if asked == "" {
		return ""
	}
	return asked + "=" + o.GetAnnotations()[infrav1.ConfirmRemoveOrphansAnnotation]
}
