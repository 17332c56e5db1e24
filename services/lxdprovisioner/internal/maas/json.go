package maas

import (
	"encoding/json"
	"net/netip"
	"strconv"
	"strings"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

// The shapes of MAAS's JSON, as far as they are read. Unknown fields are ignored, and what MAAS may
// leave out or send as null may be missing, so that one decoder reads MAAS 3.4 to 3.8. What must be
// there is said by the check methods; what they let through is good enough to be acted on.

// refJSON is a zone, pool, VLAN or VM host as another object names it.
type refJSON struct {
	ID   integer `json:"id"`
	Name string  `json:"name"`
}

func (r *refJSON) ref() inventory.Ref {
	if r == nil {
		return inventory.Ref{}
	}
	return inventory.Ref{ID: r.ID.int(), Name: r.Name}
}

// check takes a nil as right: MAAS sends null where there is none.
func (r *refJSON) check() *unfit {
	switch {
	case r == nil:
		return nil
	case !r.ID.set:
		return missing("id")
	case r.ID.value < 0:
		return &unfit{"id", "is below 0"}
	default:
		return nil
	}
}

type machineJSON struct {
	SystemID     string          `json:"system_id"`
	Hostname     string          `json:"hostname"`
	FQDN         string          `json:"fqdn"`
	Status       integer         `json:"status"`
	StatusName   string          `json:"status_name"`
	StatusText   string          `json:"status_message"`
	ErrorText    string          `json:"error_description"`
	PowerState   string          `json:"power_state"`
	PowerType    string          `json:"power_type"`
	Owner        string          `json:"owner"`
	Locked       bool            `json:"locked"`
	Architecture string          `json:"architecture"`
	Cores        number          `json:"cpu_count"`
	Memory       number          `json:"memory"`
	StorageMB    number          `json:"storage"`
	Tags         []string        `json:"tag_names"`
	Zone         *refJSON        `json:"zone"`
	Pool         *refJSON        `json:"pool"`
	Pod          *refJSON        `json:"pod"`
	VM           integer         `json:"virtualmachine_id"`
	Ephemeral    bool            `json:"ephemeral_deploy"`
	Addresses    []string        `json:"ip_addresses"`
	Interfaces   []interfaceJSON `json:"interface_set"`
	Boot         *interfaceJSON  `json:"boot_interface"`
	Annotations  annotationsJSON `json:"workload_annotations"`
}

// check: without id, name or status nothing can be decided about a machine, and a status that is
// missing must not read as 0, which is New.
func (m *machineJSON) check() *unfit {
	switch {
	case m.SystemID == "":
		return missing("system_id")
	case !systemIDs.MatchString(m.SystemID):
		return &unfit{"system_id", "is no system id"}
	case m.Hostname == "":
		return missing("hostname")
	case !m.Status.set:
		return missing("status")
	case m.Status.value < 0 || m.Status.value > maxStatus:
		return &unfit{"status", "is no status"}
	}
	return m.checkParts()
}

func (m *machineJSON) checkParts() *unfit {
	for i, ref := range []*refJSON{m.Zone, m.Pool, m.Pod} {
		if u := ref.check(); u != nil {
			return u.in([]string{"zone", "pool", "pod"}[i])
		}
	}
	for i := range m.Interfaces {
		if u := m.Interfaces[i].check(); u != nil {
			return u.in("interface_set[" + strconv.Itoa(i) + "]")
		}
	}
	if m.Boot != nil {
		if u := m.Boot.check(); u != nil {
			return u.in("boot_interface")
		}
	}
	return nil
}

// maxStatus is far above MAAS's last status, 22.
const maxStatus = 999

// annotationsJSON reads annotations whatever their values are.
type annotationsJSON map[string]string

// UnmarshalJSON reads an object; values that are not strings keep their JSON.
func (a *annotationsJSON) UnmarshalJSON(data []byte) error {
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		return err
	}
	*a = make(annotationsJSON, len(raw))
	for key, value := range raw {
		var text string
		if json.Unmarshal(value, &text) != nil {
			text = string(value)
		}
		(*a)[key] = text
	}
	return nil
}

type interfaceJSON struct {
	ID    integer    `json:"id"`
	Name  string     `json:"name"`
	MAC   string     `json:"mac_address"`
	Type  string     `json:"type"`
	VLAN  *refJSON   `json:"vlan"`
	Links []linkJSON `json:"links"`
}

func (i *interfaceJSON) check() *unfit {
	if u := positive(i.ID); u != nil {
		return u.in("id")
	}
	if u := i.VLAN.check(); u != nil {
		return u.in("vlan")
	}
	for n := range i.Links {
		if u := i.Links[n].check(); u != nil {
			return u.in("links[" + strconv.Itoa(n) + "]")
		}
	}
	return nil
}

type linkJSON struct {
	ID      integer         `json:"id"`
	Mode    string          `json:"mode"`
	Address string          `json:"ip_address"`
	Subnet  *linkSubnetJSON `json:"subnet"`
}

// linkSubnetJSON is as much of a subnet as a link is compared with.
type linkSubnetJSON struct {
	ID   integer `json:"id"`
	CIDR string  `json:"cidr"`
}

func (l *linkJSON) check() *unfit {
	if u := positive(l.ID); u != nil {
		return u.in("id")
	}
	if l.Subnet != nil {
		if u := positive(l.Subnet.ID); u != nil {
			return u.in("subnet.id")
		}
	}
	return nil
}

// positive checks an id that becomes a path or is compared with one of ours.
func positive(id integer) *unfit {
	switch {
	case !id.set:
		return missing("")
	case id.value <= 0:
		return &unfit{"", "is below 1"}
	default:
		return nil
	}
}

func (m *machineJSON) machine() inventory.Machine {
	out := inventory.Machine{
		SystemID: m.SystemID, Hostname: m.Hostname, FQDN: m.FQDN,
		Status: inventory.Status(m.Status.value), StatusName: m.StatusName, Message: sentence(m.ErrorText),
		Power: inventory.Power(m.PowerState), PowerType: m.PowerType, Owner: m.Owner, Locked: m.Locked,
		Zone: m.Zone.ref(), Pool: m.Pool.ref(), Tags: m.Tags,
		VirtualMachineID: m.VM.int64(), Architecture: m.Architecture,
		Cores: int(m.Cores.int64()), MemoryMiB: m.Memory.int64(), DiskBytes: bytesOfMB(m.StorageMB),
		InMemory: m.Ephemeral, Addresses: addresses(m.Addresses), Annotations: m.Annotations,
	}
	if out.Message == "" {
		out.Message = sentence(m.StatusText)
	}
	if m.Pod != nil && m.Pod.ID.value > 0 {
		out.HostID, out.HostName = HostID(m.Pod.ID.int()), m.Pod.Name
	}
	for i := range m.Interfaces {
		out.Interfaces = append(out.Interfaces, m.Interfaces[i].nic())
	}
	if m.Boot != nil {
		out.BootInterfaceID = m.Boot.ID.int()
	}
	return out
}

func bytesOfMB(mb number) int64 { return number(min(float64(mb)*1e6, maxNumber)).int64() }

func (i *interfaceJSON) nic() inventory.Interface {
	out := inventory.Interface{ID: i.ID.int(), Name: i.Name, MAC: i.MAC, Type: i.Type}
	if i.VLAN != nil {
		out.VLANID, out.HasVLAN = i.VLAN.ID.int(), true
	}
	for _, l := range i.Links {
		link := inventory.Link{ID: l.ID.int(), Mode: strings.ToLower(l.Mode), Address: address(l.Address)}
		if l.Subnet != nil {
			link.SubnetID, link.CIDR = l.Subnet.ID.int(), l.Subnet.CIDR
		}
		out.Links = append(out.Links, link)
	}
	return out
}

// address gives the zero value for what is no address: one odd value must not hide a whole machine.
func address(text string) netip.Addr {
	a, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap()
}

func addresses(texts []string) []netip.Addr {
	var out []netip.Addr
	for _, text := range texts {
		if a := address(text); a.IsValid() {
			out = append(out, a)
		}
	}
	return out
}
