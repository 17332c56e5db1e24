package region

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/capmaas/capmaas/services/maassim/internal/fault"
	"github.com/capmaas/capmaas/services/maassim/internal/rest"
)

// Machine is what MAAS believes of a machine, for tests and people; unlike the API it shows the agent name and whether there are user data.
type Machine struct {
	SystemID    string            `json:"system_id"`
	Hostname    string            `json:"hostname"`
	Status      string            `json:"status"` // as filters name it, for example "deployed"
	Owner       string            `json:"owner,omitempty"`
	AgentName   string            `json:"agent_name,omitempty"`
	Zone        string            `json:"zone"`
	Pool        string            `json:"pool"`
	Host        string            `json:"host,omitempty"`     // the VM host of a composed machine
	Instance    string            `json:"instance,omitempty"` // its name in LXD
	VMHost      bool              `json:"vm_host,omitempty"`  // it is the machine of a VM host
	Locked      bool              `json:"locked,omitempty"`
	PowerState  string            `json:"power_state"`
	Cores       int               `json:"cores"`
	MemoryMiB   int               `json:"memory"`
	IPs         []string          `json:"ip_addresses"`
	Tags        []string          `json:"tags"`
	Annotations map[string]string `json:"annotations"`
	OS          string            `json:"os,omitempty"` // system and series, for example "custom/u-2204"
	HasUserData bool              `json:"has_user_data,omitempty"`
}

// DNSRecord is a dnsresource.
type DNSRecord struct {
	ID   int      `json:"id"`
	FQDN string   `json:"fqdn"`
	IPs  []string `json:"ip_addresses"`
}

// Machines returns every machine, in the order of their creation.
func (r *Region) Machines() []Machine {
	defer r.begin()()
	all := make([]Machine, 0, r.machines.Len())
	for m := range r.machines.All() {
		all = append(all, m.inspect())
	}
	return all
}

// Machine returns the machine of a system id or a hostname, and whether there is one.
func (r *Region) Machine(name string) (Machine, bool) {
	defer r.begin()()
	m := r.machine(name)
	if m == nil {
		m = r.machineNamed(name)
	}
	if m == nil {
		return Machine{}, false
	}
	return m.inspect(), true
}

func (m *machine) inspect() Machine {
	v := Machine{
		SystemID: m.systemID, Hostname: m.hostname, Status: statusNames[m.status].filter, Owner: m.ownerName(), AgentName: m.agent,
		Zone: m.zone.name, Pool: m.pool.name, Instance: m.instance, VMHost: m.hostOf != nil, Locked: m.locked,
		PowerState: m.powerState(), Cores: m.cores, MemoryMiB: m.memory, IPs: m.ips(), Tags: list(m.tags),
		Annotations: maps.Clone(m.annotations), HasUserData: m.userData != nil,
	}
	if m.host != nil {
		v.Host = m.host.name
	}
	if m.osystem != "" {
		v.OS = m.osystem + "/" + m.series
	}
	return v
}

// UserData returns the user data of a machine as they were sent, and whether there are any.
func (r *Region) UserData(systemID string) (string, bool) {
	defer r.begin()()
	m := r.machine(systemID)
	if m == nil || m.userData == nil {
		return "", false
	}
	return *m.userData, true
}

// DNSRecords returns every dnsresource.
func (r *Region) DNSRecords() []DNSRecord {
	defer r.begin()()
	all := make([]DNSRecord, 0, r.records.Len())
	for rec := range r.records.All() {
		v := DNSRecord{ID: rec.id, FQDN: rec.name + "." + rec.domain.name, IPs: []string{}}
		for _, a := range rec.addresses {
			v.IPs = append(v.IPs, a.ip.String())
		}
		all = append(all, v)
	}
	return all
}

// Reservations returns the addresses that users have reserved, by hand or by writing them into DNS.
func (r *Region) Reservations() []string {
	defer r.begin()()
	all := []string{}
	for a := range r.addresses.All() {
		if a.alloc == allocReserved {
			all = append(all, a.ip.String())
		}
	}
	return all
}

// Concern names the host and the machine that a request is about, for the fault plan. An allocate is about the machine whose system id or
// name it asks for.
func (r *Region) Concern(action string, q *rest.Request) fault.Request {
	defer r.begin()()
	req := fault.Request{Operation: action}
	for _, m := range r.concerned(action, q) {
		req.Machine = append(req.Machine, m.systemID, m.hostname)
		if m.host != nil && !slices.Contains(req.Hosts, m.host.name) {
			req.Hosts = append(req.Hosts, m.host.name)
		}
	}
	if id, err := strconv.Atoi(q.Path["id"]); err == nil && strings.HasPrefix(action, "vm-hosts.") {
		if h := r.host(id); h != nil {
			req.Hosts = append(req.Hosts, h.name)
		}
	}
	return req
}

// concerned returns the machines that a request names.
func (r *Region) concerned(action string, q *rest.Request) []*machine {
	ids := []string{q.Path["system_id"]}
	switch action {
	case "machines.allocate":
		if ids[0] = q.Form.Get("system_id"); r.machine(ids[0]) == nil {
			if m := r.machineNamed(q.Form.Get("name")); m != nil {
				return []*machine{m}
			}
		}
	case "machines.release_many":
		ids = q.Form.All("machines")
	}
	var all []*machine
	for _, id := range ids {
		if m := r.machine(id); m != nil {
			all = append(all, m)
		}
	}
	return all
}

// Minor returns n of the MAAS 3.n that this is.
func (r *Region) Minor() int { return r.minor }

// SetHostPower shows the machine of a VM host as on or off, as MAAS would after it asked the host's BMC.
func (r *Region) SetHostPower(name string, on bool) {
	defer r.begin()()
	if h := r.hostNamed(name); h != nil && h.machine != nil {
		h.machine.powerOn = on
	}
}
