package region

// Places where a call can be held, each about a host or a machine.
const (
	PlaceCreated    = "lxd.created"  // LXD has the VM, MAAS has no row of it
	PlaceListed     = "lxd.listed"   // a discovery has LXD's list and has not acted on it
	PlaceDeleting   = "lxd.deleting" // MAAS has found the machine to delete and LXD still has its VM
	PlaceDeployRead = "deploy.read"  // a deploy has read the machine and has not written it; by the machine's name
)

// held is where a call about a host or a machine may be made to wait, without locks.
func (r *Region) held(place, name string) {
	if r.gate != nil {
		r.gate(place, name)
	}
}

// hostView is what a call needs of a VM host while it holds no lock: the row may change meanwhile, and go.
type hostView struct {
	id                 int
	name, kind, server string
}

func (h *vmHost) view() hostView { return hostView{h.id, h.name, h.kind, h.server} }
