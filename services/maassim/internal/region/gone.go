package region

import (
	"net/http"
	"slices"
	"strings"

	"github.com/capmaas/capmaas/services/maassim/internal/rest"
)

// goneConstraints are filters of machines and constraints of allocate that went with the VM hosts.
var goneConstraints = []string{"pod", "not_pod", "pod_type", "not_pod_type"}

// withoutVMHosts makes of a MAAS with VM hosts the one after 3.8: their resources answer 410 to everybody with a key, machines say nothing of
// them, and no filter knows them.
func (r *Region) withoutVMHosts(resources []rest.Resource) []rest.Resource {
	if !r.cfg.VMHostsGone {
		return resources
	}
	for _, res := range resources {
		first, _, _ := strings.Cut(res.Path, "/")
		for i := range res.Actions {
			a := &res.Actions[i]
			if slices.Contains([]string{"vm-hosts", "pods", "virtual-machines", "vm-clusters"}, first) {
				a.Admin, a.Handle = false, gone
				continue
			}
			a.Handle = withoutPods(a.Name, a.Handle)
		}
	}
	return resources
}

// removed is what MAAS says of VM hosts when it has none.
const removed = "VM host (KVM) support has been removed from MAAS."

func gone(*rest.Request) (any, error) { return nil, rest.Text(http.StatusGone, removed) }

// withoutPods refuses parameters that are about VM hosts and takes what is left of them out of machines.
func withoutPods(name string, handle rest.Handler) rest.Handler {
	return func(q *rest.Request) (any, error) {
		var form rest.Form
		for _, constraint := range goneConstraints {
			if name == "machines.list" && q.Query.Has(constraint) || name == "machines.allocate" && q.Form.Has(constraint) {
				form.Addf(constraint, "No such constraint.")
			}
		}
		if err := form.Err(); err != nil {
			return nil, err
		}
		if name == "machines.deploy" {
			if err := deployedHost(q); err != nil {
				return nil, err
			}
		}
		value, err := handle(q)
		switch v := value.(type) {
		case object:
			withoutPod(v)
		case []object:
			for _, o := range v {
				withoutPod(o)
			}
		}
		return value, err
	}
}

// deployedHost refuses to deploy a controller or a VM host.
func deployedHost(q *rest.Request) error {
	for _, option := range []string{"install_rackd", "install_kvm", "register_vmhost"} {
		if q.Form.Bool(option) {
			return rest.Text(http.StatusBadRequest, "Support for %s allocation parameter has been removed.", option)
		}
	}
	return nil
}

func withoutPod(o object) {
	delete(o, "pod")
	delete(o, "virtualmachine_id")
}
