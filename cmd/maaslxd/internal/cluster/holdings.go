package cluster

import (
	"context"
	"fmt"

	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/capmaas/capmaas/api/records"
	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// Kind says what is known of a VM that belongs to no MaasMachine. The manager decides by the same rules, and besides watches
// a VM for an hour before it removes it.
type Kind string

// The kinds.
const (
	// Owned has its MaasMachine, or stands on a list of pending deletions.
	Owned Kind = "owned"
	// Orphan is marked for a cluster that is here and has no MaasMachine.
	Orphan Kind = "orphan"
	// Paused is one whose cluster is paused: its machines may be on their way.
	Paused Kind = "cluster_paused"
	// UnknownCluster is marked for a cluster that is not here.
	UnknownCluster Kind = "unknown_cluster"
	// Unmarked has our shape of name and nothing else.
	Unmarked Kind = "unmarked"
)

// machineKey names a MaasMachine by its namespace, or by the id of its cluster, which stays in a move.
type machineKey struct{ namespace, clusterID, name string }

// Holdings are what the objects of a management cluster hold in MAAS.
type Holdings struct {
	// Clusters are all MaasClusters.
	Clusters []infrav1.MaasCluster
	// Machines are all MaasMachines.
	Machines []infrav1.MaasMachine

	byID     map[string][]*infrav1.MaasCluster
	machines map[machineKey]*infrav1.MaasMachine
	names    map[string]bool
	paused   map[*infrav1.MaasCluster]bool
}

// ReadHoldings reads the machines and then the clusters of all namespaces: what a machine hands over to its cluster's list of
// pending deletions stands in one of both.
func (a *Access) ReadHoldings(ctx context.Context) (*Holdings, error) {
	machines, infras, clusters := &infrav1.MaasMachineList{}, &infrav1.MaasClusterList{}, &clusterv1.ClusterList{}
	if err := a.Client.List(ctx, machines); err != nil {
		return nil, fmt.Errorf("list the MaasMachines: %w", err)
	}
	if err := a.Client.List(ctx, infras); err != nil {
		return nil, fmt.Errorf("list the MaasClusters: %w", err)
	}
	if err := a.Client.List(ctx, clusters); err != nil {
		return nil, fmt.Errorf("list the Clusters: %w", err)
	}
	return NewHoldings(machines.Items, infras.Items, clusters.Items)
}

// NewHoldings sorts out what objects hold.
func NewHoldings(machines []infrav1.MaasMachine, infras []infrav1.MaasCluster, clusters []clusterv1.Cluster) (*Holdings, error) {
	h := &Holdings{
		Clusters: infras, Machines: machines, byID: map[string][]*infrav1.MaasCluster{},
		machines: map[machineKey]*infrav1.MaasMachine{}, names: map[string]bool{}, paused: map[*infrav1.MaasCluster]bool{},
	}
	for i := range h.Machines {
		if err := h.addMachine(&h.Machines[i]); err != nil {
			return nil, err
		}
	}
	paused := map[client.ObjectKey]bool{}
	for i := range clusters {
		c := &clusters[i]
		paused[client.ObjectKeyFromObject(c)] = c.Spec.Paused != nil && *c.Spec.Paused
	}
	for i := range h.Clusters {
		if err := h.addCluster(&h.Clusters[i], paused); err != nil {
			return nil, err
		}
	}
	return h, nil
}

// Of says what is known of a VM, with the MaasCluster that it is marked for; nil where that is not here.
func (h *Holdings) Of(vm *lxdprovisionerv1.VM) (Kind, *infrav1.MaasCluster) {
	mark := vm.GetStatus().GetOwner()
	home := h.home(mark)
	switch {
	case h.names[vm.GetName()] || h.Machine(mark) != nil:
		return Owned, home
	case mark.GetClusterId() == "":
		return Unmarked, nil
	case home == nil:
		return UnknownCluster, nil
	case h.paused[home]:
		return Paused, home
	default:
		return Orphan, home
	}
}

// Machine gives the MaasMachine for which a VM is marked; nil where there is none.
func (h *Holdings) Machine(mark *lxdprovisionerv1.Owner) *infrav1.MaasMachine {
	if mark.GetMachine() == "" {
		return nil
	}
	if m := h.machines[machineKey{namespace: mark.GetNamespace(), name: mark.GetMachine()}]; m != nil {
		return m
	}
	return h.machines[machineKey{clusterID: mark.GetClusterId(), name: mark.GetMachine()}]
}

func (h *Holdings) addMachine(m *infrav1.MaasMachine) error {
	names, err := records.VMNames(m)
	if err != nil {
		return err
	}
	for _, name := range names {
		h.names[name] = true
	}
	h.machines[machineKey{namespace: m.Namespace, name: m.Name}] = m
	if id := m.Annotations[infrav1.ClusterIDAnnotation]; id != "" {
		h.machines[machineKey{clusterID: id, name: m.Name}] = m
	}
	return nil
}

func (h *Holdings) addCluster(c *infrav1.MaasCluster, paused map[client.ObjectKey]bool) error {
	for _, id := range []string{c.Annotations[infrav1.ClusterIDAnnotation], string(c.UID)} {
		if id != "" {
			h.byID[id] = append(h.byID[id], c)
		}
	}
	_, h.paused[c] = c.Annotations[clusterv1.PausedAnnotation]
	for _, owner := range c.OwnerReferences {
		if owner.Kind == "Cluster" && paused[client.ObjectKey{Namespace: c.Namespace, Name: owner.Name}] {
			h.paused[c] = true
		}
	}
	pending, err := records.Deletions(c)
	if err != nil {
		return err
	}
	for _, d := range pending {
		names, err := d.Names()
		if err != nil {
			return err
		}
		for _, name := range names {
			h.names[name] = true
		}
	}
	return nil
}

// home is the MaasCluster for which a VM is marked. Where several have its id, as copies do, the name decides.
func (h *Holdings) home(mark *lxdprovisionerv1.Owner) *infrav1.MaasCluster {
	all := h.byID[mark.GetClusterId()]
	if len(all) == 1 {
		return all[0]
	}
	for _, c := range all {
		if c.Namespace == mark.GetNamespace() && c.Name == mark.GetCluster() {
			return c
		}
	}
	return nil
}
