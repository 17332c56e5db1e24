package region

import (
	"cmp"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/capmaas/capmaas/services/maassim/internal/rest"
)

// Resources are everything that the simulated MAAS serves.
func (r *Region) Resources() []rest.Resource {
	return r.withoutVMHosts(r.withRights(slices.Concat(r.basicResources(), r.zoneResources(), r.imageResources(), r.rackResources(), r.vmHostResources(), r.virtualMachineResources(),
		r.machineResources(), r.interfaceResources(), r.networkResources(), r.rangeResources(), r.addressResources(), r.reservedIPResources(),
		r.domainResources(), r.dnsResources(), r.recordResources(), r.tagResources(), r.eventResources())))
}

// basicResources are version, users and settings.
func (r *Region) basicResources() []rest.Resource {
	return []rest.Resource{
		{Path: "version", Open: true, Actions: []rest.Action{
			{Method: http.MethodGet, Name: "version.read", Handle: r.version},
		}},
		{Path: "users", Actions: []rest.Action{
			{Method: http.MethodGet, Name: "users.list", Handle: r.listUsers},
			{Method: http.MethodGet, Op: "whoami", Name: "users.whoami", Handle: whoami},
			{Method: http.MethodPost, Name: "users.create", Admin: true, Handle: leftOut},
		}},
		{Path: "users/{name}", Actions: []rest.Action{
			{Method: http.MethodGet, Name: "users.read", Handle: r.readUser},
			{Method: http.MethodDelete, Name: "users.delete", Admin: true, Handle: leftOut},
		}},
		{Path: "maas", Actions: []rest.Action{
			{Method: http.MethodGet, Op: "get_config", Name: "maas.get_config", Handle: r.getConfig},
			{Method: http.MethodPost, Op: "set_config", Name: "maas.set_config", Admin: true, Handle: leftOut},
		}},
	}
}

// unsimulated is the answer to what MAAS can do and the simulator cannot.
func unsimulated(what string) error {
	return rest.Text(http.StatusNotImplemented, "The simulator does not have %s of MAAS.", what)
}

// leftOut handles the operations of MAAS that the simulator lacks.
func leftOut(*rest.Request) (any, error) { return nil, unsimulated("this operation") }

func (r *Region) version(*rest.Request) (any, error) {
	return object{
		"version": r.cfg.Version, "subversion": "", "capabilities": []string{
			"networks-management", "static-ipaddresses", "ipv6-deployment-ubuntu", "devices-management", "storage-deployment-ubuntu",
			"network-deployment-ubuntu", "bridging-interface-ubuntu", "bridging-automatic-ubuntu", "authenticate-api",
		},
	}, nil
}

func whoami(q *rest.Request) (any, error) { return userJSON(q.User), nil }

func (r *Region) listUsers(*rest.Request) (any, error) {
	sorted := slices.SortedFunc(slices.Values(r.users), func(a, b *rest.User) int { return cmp.Compare(a.Name, b.Name) })
	all := []object{}
	for _, u := range sorted {
		all = append(all, userJSON(u))
	}
	return all, nil
}

func (r *Region) readUser(q *rest.Request) (any, error) {
	u := r.userNamed(q.Path["name"])
	if u == nil {
		return nil, rest.NotFound("User")
	}
	return userJSON(u), nil
}

func userJSON(u *rest.User) object {
	return object{
		"username": u.Name, "email": u.Email, "is_superuser": u.Admin, "is_local": true, "resource_uri": uri("users/%s/", u.Name),
	}
}

// settings are those that a client of the machines may want to know, with MAAS's defaults.
func (r *Region) settings() map[string]any {
	return map[string]any{
		"commissioning_distro_series": r.defaultSeries(), "commissioning_osystem": "ubuntu", "completed_intro": true,
		"curtin_verbose": true, "default_distro_series": r.defaultSeries(), "default_dns_ttl": 30, "default_min_hwe_kernel": "",
		"default_osystem": "ubuntu", "default_storage_layout": "flat", "disk_erase_with_quick_erase": false,
		"disk_erase_with_secure_erase": true, "dnssec_validation": "auto", "enable_disk_erasing_on_release": false,
		"enable_http_proxy": true, "enlist_commissioning": true, "hardware_sync_interval": "15m", "http_proxy": nil, "kernel_opts": nil,
		"maas_internal_domain": "maas-internal", "maas_name": "maas", "network_discovery": "enabled", "node_timeout": 30,
		"ntp_external_only": false, "ntp_servers": "ntp.ubuntu.com", "upstream_dns": nil, "use_rack_proxy": true,
	}
}

// getConfig answers a bare JSON value (recording 260).
func (r *Region) getConfig(q *rest.Request) (any, error) {
	defer r.begin()()
	name := q.Query.Get("name")
	if name == "" {
		return nil, rest.Text(http.StatusBadRequest, "No provided name!")
	}
	all := r.settings()
	value, ok := all[name]
	if !ok {
		return nil, rest.Text(http.StatusBadRequest, "%s is not a valid config setting (valid settings are: %s).", name,
			strings.Join(slices.Sorted(maps.Keys(all)), ", "))
	}
	text, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	return rest.Plain{Type: "application/json", Body: string(text)}, nil
}
