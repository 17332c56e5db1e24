package maasmachine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/controllers/clustercache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
)

// nodeWatchName tells this watch of a workload cluster's Nodes from others.
const nodeWatchName = "maasmachine-nodes"

// watchNodes lets Nodes without a provider ID wake their machines: a control plane grows by one machine at a time and waits
// for each Node's ID. It costs the workload cluster nothing, for its Nodes are cached already. One watch is made for each
// connection, however often it is asked for.
func (r *Reconciler) watchNodes(ctx context.Context, cluster client.ObjectKey) error {
	err := r.ClusterCache.Watch(ctx, cluster, clustercache.NewWatcher(clustercache.WatcherOptions{
		Name: nodeWatchName, Watcher: r.controller, Kind: &corev1.Node{},
		EventHandler: handler.EnqueueRequestsFromMapFunc(r.ofNode(cluster)),
		Predicates:   []predicate.Predicate{predicate.NewPredicateFuncs(lacksProviderID)},
	}))
	if err != nil && !errors.Is(err, clustercache.ErrClusterNotConnected) {
		return fmt.Errorf("watch the workload cluster's Nodes: %w", err)
	}
	return nil
}

func lacksProviderID(o client.Object) bool {
	node, ok := o.(*corev1.Node)
	return ok && node.Spec.ProviderID == ""
}

// ofNode finds the machines of a cluster that have an address of a Node.
func (r *Reconciler) ofNode(cluster client.ObjectKey) handler.MapFunc {
	return func(ctx context.Context, o client.Object) []reconcile.Request {
		node, ok := o.(*corev1.Node)
		if !ok {
			return nil
		}
		list := &infrav1.MaasMachineList{}
		selector := client.MatchingLabels{clusterv1.ClusterNameLabel: cluster.Name}
		if err := r.Client.List(ctx, list, client.InNamespace(cluster.Namespace), selector); err != nil {
			return nil
		}
		var requests []reconcile.Request
		for i := range list.Items {
			if m := &list.Items[i]; hasAddress(m, node) {
				requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(m)})
			}
		}
		return requests
	}
}

func hasAddress(m *infrav1.MaasMachine, node *corev1.Node) bool {
	return slices.ContainsFunc(m.Status.Addresses, func(a clusterv1.MachineAddress) bool {
		return slices.ContainsFunc(node.Status.Addresses, func(b corev1.NodeAddress) bool { return a.Address == b.Address })
	})
}
