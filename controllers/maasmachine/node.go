package maasmachine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/cluster-api/controllers/clustercache"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// reconcileNode gives the machine's Node its provider ID where the kubelet did not. A workload cluster that can't be
// reached is no error: its connection wakes this controller.
func (r *Reconciler) reconcileNode(ctx context.Context, s *scope) (step, error) {
	if s.found.state() != lxdprovisionerv1.MachineState_MACHINE_STATE_DEPLOYED || s.cluster == nil {
		return proceed, nil
	}
	workload, err := r.ClusterCache.GetClient(ctx, client.ObjectKeyFromObject(s.cluster))
	if errors.Is(err, clustercache.ErrClusterNotConnected) {
		return proceed, nil
	}
	if err != nil {
		return step{}, fmt.Errorf("reach the workload cluster: %w", err)
	}
	if err := r.watchNodes(ctx, client.ObjectKeyFromObject(s.cluster)); err != nil {
		return step{}, err
	}
	node, err := findNode(ctx, workload, s.found.status)
	if err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Looking for the Node")
		return stopFor(r.Delays.Working), nil
	}
	if node == nil {
		return stopFor(r.Delays.Working), nil
	}
	return r.setProviderID(ctx, s, workload, node), nil
}

// setProviderID patches an empty provider ID; one of another machine is never overwritten.
func (r *Reconciler) setProviderID(ctx context.Context, s *scope, workload client.Client, node *corev1.Node) step {
	wanted := s.providerID()
	switch node.Spec.ProviderID {
	case wanted:
		return proceed
	case "":
	default:
		s.nodeConflict = fmt.Sprintf(
			"Node %s has the provider ID %s, and Cluster API looks for %s, word for word; a Node can't change its own", node.Name, node.Spec.ProviderID, wanted)
		return proceed
	}
	patch := client.MergeFromWithOptions(node.DeepCopy(), client.MergeFromWithOptimisticLock{})
	node.Spec.ProviderID = wanted
	if err := workload.Patch(ctx, node, patch); err != nil {
		r.event(s, eventWarning, "NodeProviderUpdateFailed", "setting the provider ID of Node %s failed", node.Name)
		ctrl.LoggerFrom(ctx).Error(err, "Setting the provider ID", "node", node.Name)
		return stopFor(r.Delays.Working)
	}
	ctrl.LoggerFrom(ctx).Info("Set the provider ID", "node", node.Name, "providerID", wanted)
	return proceed
}

// findNode finds the Node whose name and one of whose addresses are the machine's; nil where there is none. Either alone
// is not enough: names are given again, and addresses too.
func findNode(ctx context.Context, workload client.Reader, status *lxdprovisionerv1.MachineStatus) (*corev1.Node, error) {
	for _, name := range []string{status.GetHostname(), status.GetFqdn()} {
		if name == "" {
			continue
		}
		node := &corev1.Node{}
		err := workload.Get(ctx, client.ObjectKey{Name: strings.ToLower(name)}, node)
		if client.IgnoreNotFound(err) != nil {
			return nil, fmt.Errorf("get Node %s: %w", name, err)
		}
		if err == nil && sharesAddress(node, status) {
			return node, nil
		}
	}
	return nil, nil //nolint:nilnil // no Node yet is neither a Node nor an error
}

func sharesAddress(node *corev1.Node, status *lxdprovisionerv1.MachineStatus) bool {
	return slices.ContainsFunc(node.Status.Addresses, func(a corev1.NodeAddress) bool {
		return slices.ContainsFunc(status.GetAddresses(), func(b *lxdprovisionerv1.Address) bool { return a.Address == b.GetIp() })
	})
}
