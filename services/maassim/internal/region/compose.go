package region

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/capmaas/capmaas/services/maassim/internal/lxd"
	"github.com/capmaas/capmaas/services/maassim/internal/rest"
)

// composeTimeout is how long MAAS waits for LXD. The rack goes on after it: the VM is made later.
const composeTimeout = 120 * time.Second

// compose makes a VM on one host. Like MAAS it checks, lets LXD work without a lock, and only then writes its rows: whatever fails in
// the last step leaves the VM behind in LXD.
func (r *Region) compose(q *rest.Request) (any, error) {
	h, spec, err := r.checkCompose(q)
	if err != nil {
		return nil, err
	}
	m, err := r.composeOn(h, spec, q)
	if err != nil {
		return nil, err
	}
	return object{"system_id": m.systemID, "resource_uri": uri("machines/%s/", m.systemID)}, nil
}

func (r *Region) checkCompose(q *rest.Request) (*vmHost, vmSpec, error) {
	defer r.begin()()
	h := r.hostOf(q)
	if h == nil {
		return nil, vmSpec{}, rest.NotFound("Pod")
	}
	if len(h.capabilities) == 0 {
		return nil, vmSpec{}, rest.Text(http.StatusBadRequest, "VM host does not support composability.")
	}
	if h.kind != "lxd" {
		return nil, vmSpec{}, unsimulated("composing on a host of type " + h.kind)
	}
	spec, err := r.composeForm(h, q)
	return h, spec, err
}

// composeOn lets LXD make the VM and then makes its machine.
func (r *Region) composeOn(h *vmHost, spec vmSpec, q *rest.Request) (*machine, error) {
	inst, view, err := r.planInstance(h, &spec)
	if err != nil {
		return nil, err
	}
	takes := r.cfg.Durations.Compose
	r.wait(min(takes, composeTimeout))
	late := max(0, takes-composeTimeout)
	lost := late > 0 || q.Faults.ComposeLost
	if lost {
		late += q.Faults.Slow
	}
	if late > 0 {
		if err := r.lxd.CreateLater(inst, r.dueIn(late)); err != nil {
			return nil, composeFailed(view, err)
		}
		return nil, timedOutCompose(view)
	}
	if err := r.lxd.Create(inst); err != nil {
		return nil, composeFailed(view, err)
	}
	r.held(PlaceCreated, view.name)
	if q.Faults.Window != nil {
		q.Faults.Window()
	}
	if lost {
		return nil, timedOutCompose(view)
	}
	defer r.begin()()
	return r.enrol(h, spec, inst, q)
}

// dueIn returns a function that says whether so much simulated time has passed from this moment on.
func (r *Region) dueIn(d time.Duration) func() bool {
	at := r.clock().Add(r.spread(d))
	return func() bool { return !r.clock().Before(at) }
}

func timedOutCompose(h hostView) error {
	return rest.Text(http.StatusServiceUnavailable, "Unable to compose a machine because '%s' driver timed out after 120 seconds.", h.kind)
}

// planInstance checks what is left of the host against its over-commit ratios and chooses storage pools. Nothing is held: two composes at
// once may both pass (recordings 278-280).
func (r *Region) planInstance(h *vmHost, spec *vmSpec) (lxd.Instance, hostView, error) {
	defer r.begin()()
	view := h.view()
	if err := r.overCommitted(h, *spec); err != nil {
		return lxd.Instance{}, view, err
	}
	nics := r.planNICs(h, spec)
	if err := r.refused(h, *spec); err != nil {
		return lxd.Instance{}, view, err
	}
	disks, err := r.placeDisks(h, *spec)
	if err != nil {
		return lxd.Instance{}, view, composeFailed(view, err)
	}
	inst := lxd.Instance{
		Host: h.server, Project: h.project, Name: spec.instance, Cores: spec.cores, MemoryMiB: spec.memory, Disks: disks,
	}
	if len(spec.pinned) > 0 {
		inst.Cores = len(spec.pinned)
	}
	inst.NICs = nics
	return inst, view, nil
}

// planNICs draws the MAC addresses. What is staged for the host overrides the first NIC, which may then hang on what MAAS does not know.
func (r *Region) planNICs(h *vmHost, spec *vmSpec) []lxd.NIC {
	attached, staged := r.lxd.Attachment(h.server)
	if staged && len(spec.nics) == 0 {
		spec.nics = []nicWish{{name: "eth0"}}
	}
	nics := make([]lxd.NIC, 0, len(spec.nics))
	for at := range spec.nics {
		wish := &spec.nics[at]
		nic := lxd.NIC{Name: wish.name, MAC: r.ids.mac()}
		if wish.bridge != nil {
			nic.Parent = wish.bridge.name
		}
		if staged && at == 0 {
			nic.MAC, nic.Parent = orDefault(attached.MAC, nic.MAC), orDefault(attached.Parent, nic.Parent)
			wish.bridge = h.interfaceNamed(nic.Parent)
		}
		nics = append(nics, nic)
	}
	return nics
}

// refused says why the VM cannot be made: LXD cannot be reached, or its driver or LXD itself would not make it.
func (r *Region) refused(h *vmHost, spec vmSpec) error {
	if err := r.lxd.Reach(h.server); err != nil {
		return composeFailed(h.view(), err)
	}
	if err := refusedByVersion(h); err != nil {
		return err
	}
	if len(spec.nics) == 0 {
		return rest.Text(http.StatusServiceUnavailable, "Unable to compose machine because: No host network to attach VM interfaces to")
	}
	if err := lxd.ValidName(spec.instance); err != nil {
		return composeFailed(h.view(), err)
	}
	return nil
}

// interfaceNamed finds an interface of the host's own machine, or nil.
func (h *vmHost) interfaceNamed(name string) *iface {
	if h.machine == nil {
		return nil
	}
	for _, i := range h.machine.interfaces {
		if i.name == name {
			return i
		}
	}
	return nil
}

// placeDisks lets LXD choose the storage pools. A pool that the VM host has for its default counts where the disk names none.
func (r *Region) placeDisks(h *vmHost, spec vmSpec) ([]lxd.Disk, error) {
	sizes, tags := make([]int64, 0, len(spec.disks)), make([][]string, 0, len(spec.disks))
	for _, d := range spec.disks {
		sizes = append(sizes, d.size)
		named := slices.ContainsFunc(h.pools, func(p StoragePool) bool { return slices.Contains(d.tags, p.Name) })
		if !named && h.defaultPool != "" {
			tags = append(tags, []string{h.defaultPool})
			continue
		}
		tags = append(tags, d.tags)
	}
	return r.lxd.Place(h.server, sizes, tags)
}

// overCommitted compares with what the ratios allow, and names what is left without them; both texts follow each other without a space.
func (r *Region) overCommitted(h *vmHost, spec vmSpec) error {
	u := r.used(h)
	var text strings.Builder
	for _, c := range []struct {
		what               string
		total, used, asked int
		ratio              float64
	}{
		{"CPU", h.cores, u.cores, spec.cores, h.cpuRatio},
		{"Memory", h.memory, u.memory, spec.memory, h.memRatio},
	} {
		if float64(c.total)*c.ratio < float64(c.used+c.asked) {
			text.WriteString(overCommitText(c.what, c.ratio, c.total-c.used, c.asked))
		}
	}
	if text.Len() == 0 {
		return nil
	}
	return rest.Text(http.StatusServiceUnavailable, "Unable to compose KVM instance in '%s'. %s", h.name, &text)
}

func composeFailed(h hostView, err error) error {
	switch {
	case errors.Is(err, lxd.ErrNoRack):
		return noRack()
	case errors.Is(err, lxd.ErrOffline):
		return rest.Text(http.StatusServiceUnavailable, "Unable to compose machine because: Pod %d: %v", h.id, err)
	}
	return rest.Text(http.StatusServiceUnavailable, "Unable to compose machine because: %v", err)
}

// noRack is the answer of what needs a rack controller while none is connected (recording 285).
func noRack() error {
	e := rest.Text(http.StatusServiceUnavailable, "%v", lxd.ErrNoRack)
	e.Header = http.Header{"Retry-After": {"10"}}
	return e
}

// overCommitText keeps Python's way of writing a float.
func overCommitText(what string, ratio float64, left, asked int) string {
	return fmt.Sprintf("%s overcommit ratio is %s and there are %d available resources; %d requested.", what, pyFloat(ratio), left, asked)
}
