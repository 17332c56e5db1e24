package orphans

import (
	"context"
	"fmt"

	"sigs.k8s.io/cluster-api/util"
	"sigs.k8s.io/cluster-api/util/annotations"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/capmaas/capmaas/api/records"
	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/controllers/internal/watchfilter"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// cluster is a MaasCluster as the sweep read it.
type cluster struct {
	infra *infrav1.MaasCluster
	// ours says whether this manager reconciles it, paused whether nothing may be concluded from what it lacks: while it is
	// moved its machines come later than itself, and go earlier.
	ours, paused bool
}

// machine names a MaasMachine: by the namespace, or by the id of the cluster, of which a move to another namespace leaves
// the second.
type machine struct{ namespace, clusterID, name string }

// holdings are what the objects hold in MAAS.
type holdings struct {
	clusters []cluster
	byID     map[string][]*cluster
	machines map[machine]bool
	names    map[string]bool
}

// holdings reads the clusters and the machines of every namespace that this manager sees. An object that has not the label of the
// watch filter holds its VM too.
func (s *Sweep) holdings(ctx context.Context) (*holdings, error) {
	infras, machines := &infrav1.MaasClusterList{}, &infrav1.MaasMachineList{}
	if err := s.Reader.List(ctx, machines, client.InNamespace(s.Namespace)); err != nil {
		return nil, fmt.Errorf("list MaasMachines uncached: %w", err)
	}
	// The lists of pending deletions are read after the machines: what a machine hands over stands in one of them at least.
	if err := s.Reader.List(ctx, infras, client.InNamespace(s.Namespace)); err != nil {
		return nil, fmt.Errorf("list MaasClusters uncached: %w", err)
	}
	known := &holdings{byID: map[string][]*cluster{}, machines: map[machine]bool{}, names: map[string]bool{}}
	for i := range machines.Items {
		if err := known.addMachine(&machines.Items[i]); err != nil {
			return nil, err
		}
	}
	known.clusters = make([]cluster, len(infras.Items))
	for i := range infras.Items {
		one, err := s.clusterOf(ctx, &infras.Items[i])
		if err != nil {
			return nil, err
		}
		known.clusters[i] = one
		if err := known.addCluster(&known.clusters[i]); err != nil {
			return nil, err
		}
	}
	return known, nil
}

func (s *Sweep) clusterOf(ctx context.Context, infra *infrav1.MaasCluster) (cluster, error) {
	one := cluster{infra: infra, ours: watchfilter.Passes(infra, s.WatchFilter), paused: annotations.HasPaused(infra)}
	owner, err := util.GetOwnerCluster(ctx, s.Client, infra.ObjectMeta)
	if client.IgnoreNotFound(err) != nil {
		return cluster{}, fmt.Errorf("get the owner of MaasCluster %s/%s: %w", infra.Namespace, infra.Name, err)
	}
	if owner != nil && annotations.IsPaused(owner, infra) {
		one.paused = true
	}
	return one, nil
}

func (h *holdings) addMachine(m *infrav1.MaasMachine) error {
	names, err := records.VMNames(m)
	if err != nil {
		return err
	}
	for _, name := range names {
		h.names[name] = true
	}
	h.machines[machine{namespace: m.Namespace, name: m.Name}] = true
	if id := m.Annotations[infrav1.ClusterIDAnnotation]; id != "" {
		h.machines[machine{clusterID: id, name: m.Name}] = true
	}
	return nil
}

func (h *holdings) addCluster(c *cluster) error {
	for _, id := range []string{c.infra.Annotations[infrav1.ClusterIDAnnotation], string(c.infra.UID)} {
		if id != "" {
			h.byID[id] = append(h.byID[id], c)
		}
	}
	names, err := pendingNames(c.infra)
	for _, name := range names {
		h.names[name] = true
	}
	return err
}

// pendingNames gives the names of the VMs on a cluster's list of pending deletions.
func pendingNames(infra *infrav1.MaasCluster) ([]string, error) {
	deletions, err := records.Deletions(infra)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, d := range deletions {
		some, err := d.Names()
		if err != nil {
			return nil, err
		}
		names = append(names, some...)
	}
	return names, nil
}

// holds says whether an object holds the VM: by an attempt, by a pending deletion, or by the mark of a MaasMachine that is there.
func (h *holdings) holds(vm *lxdprovisionerv1.VM) bool {
	mark := vm.GetStatus().GetOwner()
	return h.names[vm.GetName()] || mark.GetMachine() != "" &&
		(h.machines[machine{namespace: mark.GetNamespace(), name: mark.GetMachine()}] ||
			h.machines[machine{clusterID: mark.GetClusterId(), name: mark.GetMachine()}])
}

// home is the MaasCluster for which a VM is marked; nil where there is none. Where somebody copied a MaasCluster with its id
// the name decides, and a VM of neither name is nobody's of ours.
func (h *holdings) home(mark *lxdprovisionerv1.Owner) (one *cluster, ours bool) {
	all := h.byID[mark.GetClusterId()]
	if len(all) == 1 {
		return all[0], all[0].ours
	}
	for _, c := range all {
		if c.infra.Namespace == mark.GetNamespace() && c.infra.Name == mark.GetCluster() {
			return c, c.ours
		}
	}
	return nil, false
}
