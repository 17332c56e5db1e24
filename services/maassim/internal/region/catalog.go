package region

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/capmaas/capmaas/services/maassim/internal/rest"
)

// Resources are everything that the simulated MAAS serves.
func (r *Region) Resources() []rest.Resource {
	return slices.Concat(r.basicResources(), r.vmHostResources(), r.machineResources(), r.interfaceResources(), r.networkResources(),
		r.addressResources(), r.dnsResources(), r.tagResources(), r.eventResources())
}

// basicResources are version, users, settings, zones, pools and images.
func (r *Region) basicResources() []rest.Resource {
	return []rest.Resource{
		{Path: "version", Open: true, Actions: []rest.Action{
			{Method: http.MethodGet, Name: "version.read", Handle: r.version},
		}},
		{Path: "users", Actions: []rest.Action{{Method: http.MethodGet, Op: "whoami", Name: "users.whoami", Handle: whoami}}},
		{Path: "maas", Actions: []rest.Action{{Method: http.MethodGet, Op: "get_config", Name: "maas.get_config", Handle: r.getConfig}}},
		{Path: "zones", Actions: []rest.Action{
			{Method: http.MethodGet, Name: "zones.list", Handle: r.listZones},
			{Method: http.MethodPost, Name: "zones.create", Admin: true, Handle: r.createZone},
		}},
		{Path: "zones/{name}", Actions: []rest.Action{{Method: http.MethodGet, Name: "zones.read", Handle: r.readZone}}},
		{Path: "resourcepools", Actions: []rest.Action{
			{Method: http.MethodGet, Name: "resourcepools.list", Handle: r.listPools},
			{Method: http.MethodPost, Name: "resourcepools.create", Admin: true, Handle: r.createPool},
		}},
		{Path: "resourcepool/{id}", Actions: []rest.Action{{Method: http.MethodGet, Name: "resourcepools.read", Handle: r.readPool}}},
		{Path: "boot-resources", Actions: []rest.Action{{Method: http.MethodGet, Name: "boot-resources.list", Handle: r.listImages}}},
		{Path: "boot-resources/{id}", Actions: []rest.Action{{Method: http.MethodGet, Name: "boot-resources.read", Handle: r.readImage}}},
	}
}

func (r *Region) version(*rest.Request) (any, error) {
	return object{
		"version": r.cfg.Version, "subversion": "", "capabilities": []string{
			"networks-management", "static-ipaddresses", "ipv6-deployment-ubuntu", "devices-management", "storage-deployment-ubuntu",
			"network-deployment-ubuntu", "bridging-interface-ubuntu", "bridging-automatic-ubuntu", "authenticate-api",
		},
	}, nil
}

func whoami(q *rest.Request) (any, error) { return userJSON(q.User), nil }

func (r *Region) getConfig(q *rest.Request) (any, error) {
	defer r.begin()()
	switch name := q.Query.Get("name"); name {
	case "default_distro_series", "commissioning_distro_series":
		return r.defaultSeries(), nil
	case "default_osystem":
		return "ubuntu", nil
	case "node_timeout":
		return 30, nil
	case "default_dns_ttl":
		return 30, nil
	default:
		return nil, rest.Text(http.StatusBadRequest, "%s is not a valid config setting (valid settings are: commissioning_distro_series, default_distro_series, default_dns_ttl, default_osystem, node_timeout).", name)
	}
}

func (r *Region) listZones(*rest.Request) (any, error) {
	defer r.begin()()
	all := []object{}
	for _, z := range r.zones {
		all = append(all, r.zoneJSON(z))
	}
	slices.SortFunc(all, func(a, b object) int { return strings.Compare(a["name"].(string), b["name"].(string)) }) //nolint:forcetypeassert // made above
	return all, nil
}

func (r *Region) readZone(q *rest.Request) (any, error) {
	defer r.begin()()
	z := r.zoneNamed(q.Path["name"])
	if z == nil {
		return nil, rest.NotFound("Zone")
	}
	return r.zoneJSON(z), nil
}

func (r *Region) createZone(q *rest.Request) (any, error) {
	defer r.begin()()
	name := q.Form.Get("name")
	if name == "" {
		return nil, rest.Invalid("name", "This field is required.")
	}
	if r.zoneNamed(name) != nil {
		return nil, rest.Invalid("name", "Physical zone with this Name already exists.")
	}
	z := &zone{id: len(r.zones) + 1, name: name, description: q.Form.Get("description")}
	r.zones = append(r.zones, z)
	return r.zoneJSON(z), nil
}

func (r *Region) listPools(*rest.Request) (any, error) {
	defer r.begin()()
	all := []object{}
	for _, p := range r.pools {
		all = append(all, r.poolJSON(p))
	}
	return all, nil
}

func (r *Region) readPool(q *rest.Request) (any, error) {
	defer r.begin()()
	for _, p := range r.pools {
		if strconv.Itoa(p.id) == q.Path["id"] {
			return r.poolJSON(p), nil
		}
	}
	return nil, rest.NotFound("ResourcePool")
}

func (r *Region) createPool(q *rest.Request) (any, error) {
	defer r.begin()()
	name := q.Form.Get("name")
	if name == "" {
		return nil, rest.Invalid("name", "This field is required.")
	}
	if r.poolNamed(name) != nil {
		return nil, rest.Invalid("name", "Resource pool with this Name already exists.")
	}
	p := &pool{id: len(r.pools), name: name, description: q.Form.Get("description")}
	r.pools = append(r.pools, p)
	return r.poolJSON(p), nil
}

func (r *Region) listImages(q *rest.Request) (any, error) {
	defer r.begin()()
	kind := q.Query.Get("type")
	if kind != "" && !slices.Contains([]string{"all", "synced", "uploaded"}, kind) {
		return nil, rest.Text(http.StatusBadRequest, "'%s' is not a valid boot resource type, available types: all, synced, uploaded", kind)
	}
	all := []object{}
	for _, i := range r.images {
		if kind == "" || kind == "all" || i.Uploaded == (kind == "uploaded") {
			all = append(all, r.imageJSON(i))
		}
	}
	return all, nil
}

func (r *Region) readImage(q *rest.Request) (any, error) {
	defer r.begin()()
	for _, i := range r.images {
		if strconv.Itoa(i.id) == q.Path["id"] {
			o := r.imageJSON(i)
			label := "stable"
			if i.Uploaded {
				label = "uploaded"
			}
			o["sets"] = object{i.Version: object{"version": i.Version, "label": label, "size": 0, "complete": true, "files": object{}}}
			return o, nil
		}
	}
	return nil, rest.NotFound("BootResource")
}

func (r *Region) imageJSON(i *image) object {
	o := object{
		"id": i.id, "name": i.Name, "architecture": i.Architecture, "type": "Synced", "subarches": "generic", "last_deployed": nil,
		"resource_uri": uri("boot-resources/%d/", i.id),
	}
	if i.Uploaded {
		o["type"], o["title"] = "Uploaded", i.Title
	} else {
		o["platform"], o["supported_platforms"] = "generic", "generic"
	}
	if r.minor >= 5 {
		o["base_image"] = ""
	}
	return o
}
