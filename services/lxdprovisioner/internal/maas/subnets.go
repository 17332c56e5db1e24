package maas

import (
	"context"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

var (
	opSubnets  = operation{name: "subnets.list", class: short}
	opReserved = operation{name: "subnets.reserved_ip_ranges", op: "reserved_ip_ranges", class: short}
	opLink     = operation{name: "interfaces.link_subnet", op: "link_subnet", class: short, changes: true}
	opUnlink   = operation{name: "interfaces.unlink_subnet", op: "unlink_subnet", class: short, changes: true}
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
	if err := c.get(ctx, opSubnets, "subnets", nil, &answer); err != nil {
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
	var answer []struct {
		Start   string   `json:"start"`
		End     string   `json:"end"`
		Purpose []string `json:"purpose"`
	}
	if err := c.get(ctx, opReserved, "subnets/"+strconv.Itoa(subnetID), nil, &answer); err != nil {
		return nil, err
	}
	out := make([]AddressRange, 0, len(answer))
	for _, r := range answer {
		out = append(out, AddressRange{Start: address(r.Start), End: address(r.End), Purposes: r.Purpose})
	}
	return out, nil
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
	if err := c.post(ctx, opLink, interfacePath(systemID, l.InterfaceID), form, &answer); err != nil {
		return inventory.Interface{}, err
	}
	return answer.nic(), nil
}

// UnlinkSubnet removes one link of an interface.
func (c *Client) UnlinkSubnet(ctx context.Context, systemID string, interfaceID, linkID int) error {
	if err := checkInterface(systemID, interfaceID); err != nil {
		return err
	}
	if err := checkNumber("link", linkID); err != nil {
		return err
	}
	return c.post(ctx, opUnlink, interfacePath(systemID, interfaceID), url.Values{"id": {strconv.Itoa(linkID)}}, nil)
}

func checkInterface(systemID string, id int) error {
	if err := checkSystemID(systemID); err != nil {
		return err
	}
	return checkNumber("interface", id)
}

func interfacePath(systemID string, id int) string {
	return fmt.Sprintf("nodes/%s/interfaces/%d", systemID, id)
}
