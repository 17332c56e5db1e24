package region

import (
	"net/http"
	"strings"

	"github.com/capmaas/capmaas/services/maassim/internal/rest"
)

// withRights makes of a MAAS that asks whether somebody is an administrator the 3.8, which asks OpenFGA for a right: who lacks it is told its
// name. VM hosts are asked about one by one there, and say nothing. Administrators have every right, others those of before.
func (r *Region) withRights(resources []rest.Resource) []rest.Resource {
	if r.minor < 8 {
		return resources
	}
	for _, res := range resources {
		for i := range res.Actions {
			a := &res.Actions[i]
			family, operation, _ := strings.Cut(a.Name, ".")
			switch {
			case family == "tags" && a.Method != http.MethodGet:
				a.Admin = true
			case !a.Admin:
				continue
			case family == "vm-hosts":
				a.Admin, a.Handle = false, r.ofVMHost(operation == "create", a.Handle)
				continue
			}
			a.Refusal = "User does not have permission to perform this operation. The user should have permission '" + right(family, operation) + "'"
		}
	}
	return resources
}

// right is what 3.8 calls the right to an operation that was for administrators.
func right(family, operation string) string {
	switch family {
	case "machines":
		return "can_edit_machines"
	case "boot-resources":
		return "can_edit_boot_entities"
	case "users":
		return "can_edit_identities"
	case "maas":
		return "can_edit_configurations"
	case "rackcontrollers":
		if operation == "list_boot_images" || operation == "describe_power_types" {
			return "can_view_controllers"
		}
		return "can_edit_controllers"
	default:
		return "can_edit_global_entities"
	}
}

// ofVMHost refuses without a word who may not change VM hosts: after the host was found, or at once where one is to be made.
func (r *Region) ofVMHost(made bool, handle rest.Handler) rest.Handler {
	return func(q *rest.Request) (any, error) {
		if q.User.Admin {
			return handle(q)
		}
		if !made {
			if _, err := r.findHost(q); err != nil {
				return nil, err
			}
		}
		return nil, rest.Forbidden()
	}
}
