// Package maasmachinetemplate writes into MaasMachineTemplates what a node made from them offers, so that the cluster
// autoscaler can scale a group up from zero.
package maasmachinetemplate

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/cluster-api/util/annotations"
	capicontroller "sigs.k8s.io/cluster-api/util/controller"
	"sigs.k8s.io/cluster-api/util/predicates"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/controllers/internal/provisioner"
)

// +kubebuilder:rbac:groups=infrastructure.cluster.x-k8s.io,resources=maasmachinetemplates,verbs=get;list;watch
// +kubebuilder:rbac:groups=infrastructure.cluster.x-k8s.io,resources=maasmachinetemplates/status,verbs=patch

// Reconciler writes the capacity of MaasMachineTemplates, and what their nodes run on.
type Reconciler struct {
	// Client reads from the cache and writes.
	Client client.Client
	// Region tells which images MAAS has.
	Region *provisioner.Region
	// Delays are the waits before another look.
	Delays provisioner.Delays
	// WatchFilter is the value of the watch-filter label that objects must have; empty for all.
	WatchFilter string
}

// SetupWithManager registers the reconciler.
func (r *Reconciler) SetupWithManager(ctx context.Context, mgr ctrl.Manager, options controller.Options) error {
	log := mgr.GetLogger().WithValues("controller", "maasmachinetemplate")
	err := capicontroller.NewControllerManagedBy(mgr, log).
		For(&infrav1.MaasMachineTemplate{}).
		WithOptions(options).
		WithEventFilter(predicates.ResourceHasFilterLabel(mgr.GetScheme(), log, r.WatchFilter)).
		Complete(ctx, r)
	if err != nil {
		return fmt.Errorf("set up the MaasMachineTemplate controller: %w", err)
	}
	return nil
}

// Reconcile writes one template's capacity and node info.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	template := &infrav1.MaasMachineTemplate{}
	if err := r.Client.Get(ctx, req.NamespacedName, template); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if annotations.HasPaused(template) || !template.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil
	}
	before := template.DeepCopy()
	template.Status.Capacity = capacityOf(&template.Spec.Template.Spec)
	template.Status.NodeInfo = r.nodeInfo(ctx, template)
	again := ctrl.Result{}
	if template.Status.NodeInfo.Architecture == "" {
		again.RequeueAfter = r.Delays.Idle // the image may come
	}
	if equality.Semantic.DeepEqual(before.Status, template.Status) {
		return again, nil
	}
	if err := r.Client.Status().Patch(ctx, template, client.MergeFrom(before)); client.IgnoreNotFound(err) != nil {
		return ctrl.Result{}, fmt.Errorf("write the capacity: %w", err)
	}
	return again, nil
}

// architectures are MAAS's names of the architectures that Cluster API knows, which are Debian's.
var architectures = map[string]infrav1.Architecture{
	"amd64": infrav1.ArchitectureAMD64, "arm64": infrav1.ArchitectureARM64,
	"s390x": infrav1.ArchitectureS390X, "ppc64el": infrav1.ArchitecturePPC64LE,
}

// nodeInfo is what a node made from the template runs on. MAAS deploys an image only on machines of its architecture, so
// that of an image which exists for one alone is known; for any other it is left out rather than guessed. While MAAS does
// not answer the last one stands.
func (r *Reconciler) nodeInfo(ctx context.Context, template *infrav1.MaasMachineTemplate) *infrav1.NodeInfo {
	system, series := template.Spec.Template.Spec.ImageParts()
	info := &infrav1.NodeInfo{OperatingSystem: operatingSystemOf(system)}
	images, err := r.Region.Images(ctx)
	if err != nil {
		ctrl.LoggerFrom(ctx).V(2).Info("Listing the images of MAAS failed", "error", err.Error())
		if last := template.Status.NodeInfo; last != nil {
			info.Architecture = last.Architecture
		}
		return info
	}
	found := map[string]bool{}
	for _, image := range images {
		if image.GetName() == system+"/"+series {
			found[image.GetArchitecture()] = true
		}
	}
	for name := range found {
		if len(found) == 1 {
			info.Architecture = architectures[name]
		}
	}
	return info
}

// operatingSystemOf is Kubernetes' word for what one of MAAS's operating systems is.
func operatingSystemOf(system string) string {
	if system == "windows" {
		return system
	}
	return "linux"
}

// capacityOf is what a node offers at least: a VM its size, a physical machine what was asked for of it. What was not
// asked for is left out rather than guessed.
func capacityOf(spec *infrav1.MaasMachineSpec) corev1.ResourceList {
	const mebi = 1 << 20
	capacity := corev1.ResourceList{}
	set := func(name corev1.ResourceName, amount int64) {
		if amount > 0 {
			capacity[name] = *resource.NewQuantity(amount, resource.BinarySI)
		}
	}
	if spec.Mode() == infrav1.ModeLXD {
		shape := spec.Shape()
		set(corev1.ResourceCPU, int64(shape.Cores))
		set(corev1.ResourceMemory, int64(shape.MemoryMiB)*mebi)
		return capacity
	}
	if spec.MinCPU != nil {
		set(corev1.ResourceCPU, int64(*spec.MinCPU))
	}
	if spec.MinMemory != nil {
		set(corev1.ResourceMemory, int64(*spec.MinMemory)*mebi)
	}
	return capacity
}
