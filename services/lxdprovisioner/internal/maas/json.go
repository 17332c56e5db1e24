package maas

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

// The shapes of MAAS's JSON, as far as they are read. Unknown fields are ignored and every field may
// be missing or null, so that one decoder reads MAAS 3.4 to 3.8.

// number is a number that MAAS may also send as a string or with decimals.
type number float64

// UnmarshalJSON reads a number, a quoted number or null.
func (n *number) UnmarshalJSON(data []byte) error {
	text := string(bytes.Trim(data, `"`))
	if text == "null" || text == "" {
		*n = 0
		return nil
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return fmt.Errorf("%.40q is not a number", text)
	}
	*n = number(f)
	return nil
}

func (n number) int() int     { return int(n) }
func (n number) int64() int64 { return int64(n) }

type refJSON struct {
	ID   number `json:"id"`
	Name string `json:"name"`
}

func (r *refJSON) ref() inventory.Ref {
	if r == nil {
		return inventory.Ref{}
	}
	return inventory.Ref{ID: r.ID.int(), Name: r.Name}
}

type machineJSON struct {
	SystemID     string          `json:"system_id"`
	Hostname     string          `json:"hostname"`
	FQDN         string          `json:"fqdn"`
	Status       number          `json:"status"`
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
	VM           number          `json:"virtualmachine_id"`
	Ephemeral    bool            `json:"ephemeral_deploy"`
	Addresses    []string        `json:"ip_addresses"`
	Interfaces   []interfaceJSON `json:"interface_set"`
	Boot         *interfaceJSON  `json:"boot_interface"`
	Annotations  annotationsJSON `json:"workload_annotations"`
}

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
	ID    number     `json:"id"`
	Name  string     `json:"name"`
	MAC   string     `json:"mac_address"`
	Type  string     `json:"type"`
	VLAN  *refJSON   `json:"vlan"`
	Links []linkJSON `json:"links"`
}

type linkJSON struct {
	ID      number      `json:"id"`
	Mode    string      `json:"mode"`
	Address string      `json:"ip_address"`
	Subnet  *subnetJSON `json:"subnet"`
}

type subnetJSON struct {
	ID         number   `json:"id"`
	Name       string   `json:"name"`
	CIDR       string   `json:"cidr"`
	Gateway    string   `json:"gateway_ip"`
	DNSServers []string `json:"dns_servers"`
	VLAN       *refJSON `json:"vlan"`
	Managed    *bool    `json:"managed"`
	Space      string   `json:"space"`
}

func (m *machineJSON) machine() inventory.Machine {
	out := inventory.Machine{
		SystemID: m.SystemID, Hostname: m.Hostname, FQDN: m.FQDN,
		Status: inventory.Status(m.Status), StatusName: m.StatusName, Message: m.ErrorText,
		Power: inventory.Power(m.PowerState), PowerType: m.PowerType, Owner: m.Owner, Locked: m.Locked,
		Zone: m.Zone.ref(), Pool: m.Pool.ref(), Tags: m.Tags,
		VirtualMachineID: m.VM.int64(), Architecture: m.Architecture,
		Cores: m.Cores.int(), MemoryMiB: m.Memory.int64(), DiskBytes: int64(float64(m.StorageMB) * 1e6),
		InMemory: m.Ephemeral, Addresses: addresses(m.Addresses), Annotations: m.Annotations,
	}
	if out.Message == "" {
		out.Message = m.StatusText
	}
	if m.Pod != nil && m.Pod.ID > 0 {
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

func (s *subnetJSON) subnet() inventory.Subnet {
	out := inventory.Subnet{
		ID: s.ID.int(), Name: s.Name, Gateway: address(s.Gateway), DNSServers: addresses(s.DNSServers),
		VLANID: s.VLAN.ref().ID, Managed: s.Managed == nil || *s.Managed, Space: s.Space,
	}
	if prefix, err := netip.ParsePrefix(s.CIDR); err == nil {
		out.CIDR = prefix
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
