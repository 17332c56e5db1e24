package region

import (
	"net/http"
	"slices"

	"github.com/capmaas/capmaas/services/maassim/internal/rest"
)

func (r *Region) vmHostResources() []rest.Resource {
	var all []rest.Resource
	for _, base := range []string{"vm-hosts", "pods"} {
		all = append(all,
			rest.Resource{Path: base, Actions: []rest.Action{
				{Method: http.MethodGet, Name: "vm-hosts.list", Handle: r.listHosts},
				{Method: http.MethodPost, Name: "vm-hosts.create", Admin: true, Handle: r.createHost},
			}},
			rest.Resource{Path: base + "/{id}", Actions: []rest.Action{
				{Method: http.MethodGet, Name: "vm-hosts.read", Handle: r.readHost},
				{Method: http.MethodPut, Name: "vm-hosts.update", Admin: true, Handle: r.updateHost},
				{Method: http.MethodDelete, Name: "vm-hosts.delete", Admin: true, Handle: r.deleteHost},
				{Method: http.MethodGet, Op: "parameters", Name: "vm-hosts.parameters", Admin: true, Handle: r.hostParameters},
				{Method: http.MethodPost, Op: "refresh", Name: "vm-hosts.refresh", Admin: true, Handle: r.refreshHost},
				{Method: http.MethodPost, Op: "compose", Name: "vm-hosts.compose", Admin: true, Data: true, Handle: r.compose},
				{Method: http.MethodPost, Op: "add_tag", Name: "vm-hosts.add_tag", Admin: true, Data: true, Handle: r.tagHost},
				{Method: http.MethodPost, Op: "remove_tag", Name: "vm-hosts.remove_tag", Admin: true, Data: true, Handle: r.untagHost},
			}})
	}
	return all
}

func (r *Region) listHosts(*rest.Request) (any, error) {
	defer r.begin()()
	all := []object{}
	for h := range r.hosts.All() {
		all = append(all, r.hostJSON(h))
	}
	return all, nil
}

// readHost answers 404 in other words than the operations do (recordings 044 and 072).
func (r *Region) readHost(q *rest.Request) (any, error) {
	defer r.begin()()
	h := r.hostOf(q)
	if h == nil {
		return nil, &rest.Error{Status: http.StatusNotFound, ContentType: "text/plain", Resource: true, Body: []byte("Not Found")}
	}
	return r.hostJSON(h), nil
}

func (r *Region) hostParameters(q *rest.Request) (any, error) {
	defer r.begin()()
	h := r.hostOf(q)
	if h == nil {
		return nil, rest.NotFound("Pod")
	}
	return r.powerParameters(h), nil
}

// powerParameters shows the certificate and the private key, as a real MAAS does; those that MAAS made itself are stand-ins.
func (r *Region) powerParameters(h *vmHost) object {
	return object{
		"power_address": h.address, "project": h.project,
		"certificate": orDefault(h.certificate, "-----BEGIN CERTIFICATE-----\nFAKE\n-----END CERTIFICATE-----\n"),
		"key":         orDefault(h.key, "-----BEGIN PRIVATE KEY-----\nFAKE\n-----END PRIVATE KEY-----\n"),
	}
}

// tagHost accepts any tag; one that is no valid tag name spoils every later compose on the host (recordings 514, 522).
func (r *Region) tagHost(q *rest.Request) (any, error) {
	defer r.begin()()
	h, name, err := r.hostAndTag(q)
	if err != nil {
		return nil, err
	}
	h.addTag(name)
	return r.hostJSON(h), nil
}

func (r *Region) untagHost(q *rest.Request) (any, error) {
	defer r.begin()()
	h, name, err := r.hostAndTag(q)
	if err != nil {
		return nil, err
	}
	h.tags = slices.DeleteFunc(slices.Clone(h.tags), func(t string) bool { return t == name })
	return r.hostJSON(h), nil
}

func (r *Region) hostAndTag(q *rest.Request) (*vmHost, string, error) {
	h := r.hostOf(q)
	if h == nil {
		return nil, "", rest.NotFound("Pod")
	}
	name := q.Form.Get("tag")
	switch {
	case name == "":
		return nil, "", rest.Text(http.StatusBadRequest, "No provided tag!")
	case slices.Contains([]byte(name), ','):
		return nil, "", rest.Text(http.StatusBadRequest, `Tag may not contain a ",".`)
	}
	return h, name, nil
}

// usage is what the VMs that MAAS knows take of a host; storage in bytes.
type usage struct {
	cores, memory int
	storage       int64
	byPool        map[string]int64
}

func (r *Region) used(h *vmHost) usage { return r.usedAt(h, r.revision) }

// usedAt leaves out the machines that were made after a revision. The disks of a machine that a discovery has just imported count twice, until
// the next discovery puts that right (recording 491); those of one that allocate composed from its first discovery on (288).
func (r *Region) usedAt(h *vmHost, revision int) usage {
	u := usage{byPool: make(map[string]int64)}
	for _, m := range r.machines.onHost.Rows(h) {
		if m.born > revision {
			continue
		}
		u.cores += m.cores
		u.memory += m.memory
		for _, d := range m.disks {
			size := d.size
			if m.diskTwice {
				size *= 2
			}
			u.storage += size
			u.byPool[d.pool] += size
		}
	}
	return u
}

// isDefault reports whether disks that name no pool go to this one.
func (h *vmHost) isDefault(p StoragePool) bool {
	if h.defaultPool != "" {
		return p.Name == h.defaultPool
	}
	return p.Default
}

// hostJSON renders a VM host. Its total and available ignore the over-commit ratios (recording 289), and it never says whether LXD can be
// reached (recording 528).
func (r *Region) hostJSON(h *vmHost) object { return r.hostJSONAt(h, r.revision) }

// hostJSONAt renders a VM host as a transaction sees it that began at a revision (recording 500).
func (r *Region) hostJSONAt(h *vmHost, revision int) object {
	u := r.usedAt(h, revision)
	var total int64
	pools := []object{}
	for _, p := range h.pools {
		total += p.Total
		pools = append(pools, object{
			"id": p.Name, "name": p.Name, "type": p.Driver, "path": p.Name, "total": p.Total, "used": u.byPool[p.Name],
			"available": p.Total - u.byPool[p.Name], "default": h.isDefault(p),
		})
	}
	var system any
	if h.machine != nil {
		system = h.machine.systemID
	}
	architectures := []string{}
	if len(h.capabilities) > 0 {
		architectures = append(architectures, h.arch)
	}
	return object{
		"id": h.id, "name": h.name, "type": h.kind, "architectures": architectures, "capabilities": list(h.capabilities),
		"total": object{"cores": h.cores, "memory": h.memory, "local_storage": total},
		"used":  object{"cores": u.cores, "memory": u.memory, "local_storage": u.storage},
		"available": object{
			"cores": h.cores - u.cores, "memory": h.memory - u.memory, "local_storage": total - u.storage,
		},
		"cpu_over_commit_ratio": h.cpuRatio, "memory_over_commit_ratio": h.memRatio, "storage_pools": pools,
		"zone": r.zoneJSON(h.zone), "pool": r.poolJSON(h.pool), "tags": list(h.tags), "host": object{"system_id": system, "__incomplete__": true},
		"default_macvlan_mode": h.macvlan, "version": h.version, "resource_uri": uri("vm-hosts/%d/", h.id),
	}
}
