package maas

import (
	"context"
	"net/netip"
	"net/url"
	"strconv"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

// AddressRange is a range of a subnet that MAAS does not give out, both ends included, with MAAS's
// purposes for it: "assigned-ip", "gateway-ip", "dns-server", "reserved", "dynamic".
type AddressRange struct {
	Start, End netip.Addr
	Purposes   []string
}

// Subnets lists all subnets.
func (c *Client) Subnets(ctx context.Context) ([]inventory.Subnet, error) {
	var answer []subnetJSON
	if err := c.call(ctx, ask{op: opSubnets, read: each(&answer)}); err != nil {
		return nil, err
	}
	out := make([]inventory.Subnet, 0, len(answer))
	for i := range answer {
		out = append(out, answer[i].subnet())
	}
	return out, nil
}

// ReservedRanges lists what of a subnet is in use or set aside. NotFound where MAAS has no such subnet.
func (c *Client) ReservedRanges(ctx context.Context, subnetID int) ([]AddressRange, error) {
	if err := checkNumber("subnet", subnetID); err != nil {
		return nil, err
	}
	var answer []rangeJSON
	if err := c.call(ctx, ask{op: opReserved, ids: []string{decimal(subnetID)}, read: each(&answer)}); err != nil {
		return nil, err
	}
	out := make([]AddressRange, 0, len(answer))
	for _, r := range answer {
		out = append(out, AddressRange{Start: address(r.Start), End: address(r.End), Purposes: r.Purpose})
	}
	return out, nil
}

// AssignedAddresses lists the addresses of a subnet that MAAS has assigned to anybody, without saying to whom: that would take
// it thirty times as long. NotFound where MAAS has no such subnet.
func (c *Client) AssignedAddresses(ctx context.Context, subnetID int) ([]netip.Addr, error) {
	if err := checkNumber("subnet", subnetID); err != nil {
		return nil, err
	}
	short := url.Values{"with_username": {"0"}, "with_summary": {"0"}}
	var answer []assignedJSON
	if err := c.call(ctx, ask{op: opAssigned, ids: []string{decimal(subnetID)}, values: short, read: each(&answer)}); err != nil {
		return nil, err
	}
	out := make([]netip.Addr, 0, len(answer))
	for _, a := range answer {
		out = append(out, address(a.IP))
	}
	return out, nil
}

type subnetJSON struct {
	ID         integer  `json:"id"`
	Name       string   `json:"name"`
	CIDR       string   `json:"cidr"`
	Gateway    string   `json:"gateway_ip"`
	DNSServers []string `json:"dns_servers"`
	VLAN       *refJSON `json:"vlan"`
	Managed    *bool    `json:"managed"`
	Space      string   `json:"space"`
}

func (s *subnetJSON) check() *unfit {
	if u := positive(s.ID); u != nil {
		return u.in("id")
	}
	if _, err := netip.ParsePrefix(s.CIDR); err != nil {
		return &unfit{"cidr", "is no network"}
	}
	if s.Gateway != "" && !address(s.Gateway).IsValid() {
		return &unfit{"gateway_ip", "is no address"}
	}
	if u := s.VLAN.check(); u != nil {
		return u.in("vlan")
	}
	return nil
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

type rangeJSON struct {
	Start   string   `json:"start"`
	End     string   `json:"end"`
	Purpose []string `json:"purpose"`
}

// check: a range that can't be read would count as free.
func (r *rangeJSON) check() *unfit {
	start, end := address(r.Start), address(r.End)
	switch {
	case !start.IsValid():
		return &unfit{"start", "is no address"}
	case !end.IsValid():
		return &unfit{"end", "is no address"}
	case start.Is4() != end.Is4() || end.Less(start):
		return &unfit{"end", "is before start"}
	default:
		return nil
	}
}

type assignedJSON struct {
	IP string `json:"ip"`
}

// check: an address that can't be read would count as free.
func (a *assignedJSON) check() *unfit {
	if !address(a.IP).IsValid() {
		return &unfit{"ip", "is no address"}
	}
	return nil
}

// LinkMode is how an interface gets its address.
type LinkMode string

// The modes that we use. MAAS gives an AUTO address when the machine is deployed.
const (
	LinkAuto   LinkMode = "AUTO"
	LinkStatic LinkMode = "STATIC"
	LinkDHCP   LinkMode = "DHCP"
)

// LinkForm ties an interface to a subnet.
type LinkForm struct {
	InterfaceID int
	SubnetID    int
	Mode        LinkMode
	// Address is for LinkStatic only.
	Address netip.Addr
	// Force replaces the interface's VLAN and links, which makes the call repeatable; without it a
	// link is added, also a second one to the same subnet.
	Force bool
	// DefaultGateway makes the subnet's gateway the machine's.
	DefaultGateway bool
}

// LinkSubnet links an interface of a New, Ready or Allocated machine. Invalid with STATIC_IP_TAKEN,
// STATIC_IP_INVALID, STATIC_IP_GATEWAY_MISMATCH (the subnet has no gateway) or SUBNET_NOT_FOUND;
// Busy with NOT_READY in another state. MAAS lets a gateway's, DNS server's, network or broadcast
// address pass: the caller refuses these.
func (c *Client) LinkSubnet(ctx context.Context, systemID string, l LinkForm) (inventory.Interface, error) {
	if err := checkInterface(systemID, l.InterfaceID); err != nil {
		return inventory.Interface{}, err
	}
	if err := checkNumber("subnet", l.SubnetID); err != nil {
		return inventory.Interface{}, err
	}
	form := url.Values{"mode": {string(l.Mode)}, "subnet": {strconv.Itoa(l.SubnetID)}}
	switch {
	case l.Mode == LinkStatic && l.Address.IsValid():
		form.Set("ip_address", l.Address.String())
	case l.Mode != LinkAuto && l.Mode != LinkDHCP, l.Address.IsValid():
		return inventory.Interface{}, fault.New(fault.Invalid, fault.ReasonBadRequest, "link mode %q does not go with address %q", l.Mode, l.Address)
	}
	if l.Force {
		form.Set("force", "true")
	}
	if l.DefaultGateway {
		form.Set("default_gateway", "true")
	}
	var answer interfaceJSON
	read := that(&answer, func() *unfit { return answer.linked(l) })
	if err := c.call(ctx, ask{op: opLink, ids: []string{systemID, decimal(l.InterfaceID)}, values: form, read: read}); err != nil {
		return inventory.Interface{}, err
	}
	return answer.nic(), nil
}

// linked says why the interface is not the one of the form, or not linked as it asks.
func (i *interfaceJSON) linked(l LinkForm) *unfit {
	if i.ID.int() != l.InterfaceID {
		return anothers("id")
	}
	for _, link := range i.Links {
		if link.Subnet != nil && link.Subnet.ID.int() == l.SubnetID && (l.Mode != LinkStatic || address(link.Address) == l.Address.Unmap()) {
			return nil
		}
	}
	return &unfit{"links", "is without the link that was asked for"}
}

func checkInterface(systemID string, id int) error {
	if err := checkSystemID(systemID); err != nil {
		return err
	}
	return checkNumber("interface", id)
}
