package region

import (
	"fmt"

	"github.com/capmaas/capmaas/services/maassim/internal/known"
)

// Places where a call can be held, each about a host or a machine.
const (
	PlaceCreated    = "lxd.created"  // LXD has the VM, MAAS has no row of it
	PlaceListed     = "lxd.listed"   // a discovery has LXD's list and has not acted on it
	PlaceDeleting   = "lxd.deleting" // MAAS has found the machine to delete and LXD still has its VM
	PlaceDeployRead = "deploy.read"  // a deploy has read the machine and has not written it; by the machine's name
)

// held is where a call about a host or a machine may be made to wait, without locks.
func (r *Region) held(place string, names ...string) {
	if r.gate != nil {
		r.gate(place, names...)
	}
}

// Places are those within an operation where a call can be held.
func Places() []string { return []string{PlaceCreated, PlaceListed, PlaceDeleting, PlaceDeployRead} }

// CheckPlaced fails unless there is a VM host of this name, or a machine of this hostname or system id.
func (r *Region) CheckPlaced(name string) error {
	defer r.begin()()
	if _, ok := r.hosts.byName.First(name); ok || r.machineNamed(name) != nil || r.lookUp(name) != nil {
		return nil
	}
	var hosts []string
	for h := range r.hosts.All() {
		hosts = append(hosts, h.name)
	}
	return fmt.Errorf("%w %q, neither by hostname nor by system id, and no VM host: there are the VM hosts %s", ErrNoMachine, name, known.List(hosts))
}

// hostView is what a call needs of a VM host while it holds no lock: the row may change meanwhile, and go.
type hostView struct {
	id                 int
	name, kind, server string
}

func (h *vmHost) view() hostView { return hostView{h.id, h.name, h.kind, h.server} }
