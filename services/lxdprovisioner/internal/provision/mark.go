package provision

import (
	"regexp"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

// The mark's keys. MAAS takes [A-Za-z0-9_.-]+ only: a slash, as Kubernetes writes it, is a 500.
const (
	markCluster    = "capmaas.cluster"
	markClusterID  = "capmaas.cluster-id"
	markNamespace  = "capmaas.namespace"
	markMachine    = "capmaas.machine"
	markMachineUID = "capmaas.machine-uid"
	markSpecDigest = "capmaas.spec-digest"
	// markDelete stands on the row of a VM whose host did not answer when it was to be deleted, with
	// the time of the first try in RFC 3339.
	markDelete = "capmaas-delete"
)

// agentPrefix begins the agent name of every VM that is claimed.
const agentPrefix = "capmaas/"

// vmName is the shape of names that controllers give VMs (docs/protocol-coverage.md 1.2).
var vmName = regexp.MustCompile(`^[a-z]([a-z0-9-]*[a-z0-9])?-[a-z0-9]{5}$`)

func agentName(vm string) string { return agentPrefix + vm }

// mark gives the workload annotations of the owner. Empty values are left out: MAAS takes them as
// "remove".
func (o Owner) mark() map[string]string {
	all := map[string]string{
		markCluster: o.Cluster, markClusterID: o.ClusterID, markNamespace: o.Namespace,
		markMachine: o.Machine, markMachineUID: o.MachineUID, markSpecDigest: o.SpecDigest,
	}
	for k, v := range all {
		if v == "" {
			delete(all, k)
		}
	}
	return all
}

// ownerOf reads the mark; nil where there is none of ours.
func ownerOf(m inventory.Machine) *Owner {
	if m.Annotations[markMachine] == "" {
		return nil
	}
	return &Owner{
		Cluster: m.Annotations[markCluster], ClusterID: m.Annotations[markClusterID], Namespace: m.Annotations[markNamespace],
		Machine: m.Annotations[markMachine], MachineUID: m.Annotations[markMachineUID], SpecDigest: m.Annotations[markSpecDigest],
	}
}

// same says whether both marks are of one MaasMachine: by UID, or, since UIDs change in a move, by
// cluster id, namespace and name.
func (o Owner) same(other Owner) bool {
	if o.MachineUID != "" && o.MachineUID == other.MachineUID {
		return true
	}
	return o.ClusterID == other.ClusterID && o.Namespace == other.Namespace && o.Machine == other.Machine
}

// maasMachine names the MaasMachine in logs.
func (o Owner) maasMachine() string { return o.Namespace + "/" + o.Machine }
