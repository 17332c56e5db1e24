package region

import (
	"net/http"

	"github.com/capmaas/capmaas/services/maassim/internal/rest"
)

func (r *Region) rackResources() []rest.Resource {
	return []rest.Resource{
		{Path: "rackcontrollers", Actions: []rest.Action{
			{Method: http.MethodGet, Name: "rackcontrollers.list", Handle: r.listRacks},
			{Method: http.MethodPost, Op: "import_boot_images", Name: "rackcontrollers.import_boot_images", Admin: true, Handle: leftOut},
			{Method: http.MethodGet, Op: "describe_power_types", Name: "rackcontrollers.describe_power_types", Admin: true, Handle: leftOut},
		}},
		{Path: "rackcontrollers/{system_id}", Actions: []rest.Action{
			{Method: http.MethodGet, Name: "rackcontrollers.read", Handle: r.readRack},
			{Method: http.MethodPut, Name: "rackcontrollers.update", Admin: true, Handle: leftOut},
			{Method: http.MethodDelete, Name: "rackcontrollers.delete", Admin: true, Handle: leftOut},
			{Method: http.MethodGet, Op: "list_boot_images", Name: "rackcontrollers.list_boot_images", Admin: true, Handle: r.rackImages},
			{Method: http.MethodPost, Op: "import_boot_images", Name: "rackcontrollers.import_boot_images", Admin: true, Handle: leftOut},
		}},
	}
}

// listRacks shows the one rack controller to everybody. Nothing is known of its hardware (recording 261).
func (r *Region) listRacks(*rest.Request) (any, error) {
	defer r.begin()()
	return []object{r.rackJSON()}, nil
}

func (r *Region) readRack(q *rest.Request) (any, error) {
	defer r.begin()()
	if q.Path["system_id"] != rackID {
		return nil, rest.NotFound("RackController")
	}
	return r.rackJSON(), nil
}

// rackImages are the images that the rack controller has taken over from the region: here always all of them.
func (r *Region) rackImages(q *rest.Request) (any, error) {
	defer r.begin()()
	if q.Path["system_id"] != rackID {
		return nil, rest.NotFound("RackController")
	}
	images := []object{}
	for _, i := range r.images {
		images = append(images, object{"name": i.Name, "architecture": i.Architecture, "subarches": []string{"generic"}})
	}
	return object{"connected": true, "status": "synced", "images": images}, nil
}

func (r *Region) rackJSON() object {
	o := object{
		"system_id": rackID, "hostname": "rack1", "fqdn": "rack1." + r.domains[0].name, "domain": r.domainJSON(r.domains[0]),
		"zone": r.zoneJSON(r.zones[0]), "node_type": 2, "node_type_name": "Rack controller", "version": r.cfg.Version, "description": "",
		"architecture": "amd64/generic", "cpu_count": 0, "cpu_speed": 0, "memory": 0, "swap_size": nil, "power_type": "",
		"power_state": "unknown", "osystem": "", "distro_series": "", "hardware_uuid": nil, "tag_names": []string{}, "status_action": nil,
		"ip_addresses": []string{}, "interface_set": []object{}, "hardware_info": unknownHardware, "service_set": rackServices(),
		"resource_uri": uri("rackcontrollers/%s/", rackID),
	}
	for _, kind := range []string{"commissioning", "testing", "cpu_test", "memory_test", "storage_test", "network_test", "interface_test", "other_test"} {
		o[kind+"_status"], o[kind+"_status_name"] = -1, "Unknown"
	}
	for _, kind := range []string{"commissioning", "installation", "testing"} {
		o["current_"+kind+"_result_id"] = nil
	}
	return o
}

func rackServices() []object {
	services := []object{}
	for _, name := range []string{"dns_rack", "syslog_rack", "ntp_rack", "tftp", "http", "dhcpd6", "dhcpd", "rackd", "proxy_rack"} {
		services = append(services, object{"name": name, "status": "running", "status_info": ""})
	}
	return services
}
