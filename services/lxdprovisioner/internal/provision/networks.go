package provision

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/placement"
)

// networks resolve what a request says of subnets and put the links of machines right.
type networks struct {
	maas   MAAS
	clock  func() time.Time
	maxAge time.Duration
	// listing and ranges share the reading of the subnets, and that of one subnet's reserved ranges.
	listing *turns[[]inventory.Subnet]
	ranges  *turns[[]AddressRange]

	mu      sync.Mutex
	subnets []inventory.Subnet
	readAt  time.Time
}

func newNetworks(cfg Config) *networks {
	return &networks{
		maas: cfg.MAAS, clock: cfg.Clock, maxAge: cfg.Timing.MachinesMaxAge,
		listing: newTurns[[]inventory.Subnet](cfg.Timing.LookupWindow, cfg.Timing.ReadLimit, cfg.Logger),
		ranges:  newTurns[[]AddressRange](cfg.Timing.LookupWindow, cfg.Timing.ReadLimit, cfg.Logger),
	}
}

// all gives MAAS's subnets, no older than a minute.
func (n *networks) all(ctx context.Context) ([]inventory.Subnet, error) {
	if subnets, ok := n.known(); ok {
		return subnets, nil
	}
	return n.listing.do(ctx, "the subnets", func(ctx context.Context) ([]inventory.Subnet, error) {
		if subnets, ok := n.known(); ok {
			return subnets, nil
		}
		asked := n.clock()
		subnets, err := n.maas.Subnets(ctx)
		if err != nil {
			return nil, fmt.Errorf("list the subnets: %w", err)
		}
		n.mu.Lock()
		n.subnets, n.readAt = subnets, asked
		n.mu.Unlock()
		return subnets, nil
	})
}

// known gives the subnets where they were read less than a minute ago.
func (n *networks) known() ([]inventory.Subnet, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.subnets, !n.readAt.IsZero() && n.clock().Sub(n.readAt) < n.maxAge
}

// reserved gives what MAAS does not give out of a subnet, read after the call.
func (n *networks) reserved(ctx context.Context, s inventory.Subnet) ([]AddressRange, error) {
	return n.ranges.do(ctx, strconv.Itoa(s.ID), func(ctx context.Context) ([]AddressRange, error) {
		ranges, err := n.maas.ReservedRanges(ctx, s.ID)
		if err != nil {
			return nil, fmt.Errorf("read the reserved ranges of %s: %w", s.CIDR, err)
		}
		return ranges, nil
	})
}

// nicSubnets are the subnets of one NIC, best first; must says that no other network will do.
type nicSubnets struct {
	choice []inventory.Subnet
	must   bool
}

// forNICs gives the subnets that the NICs name, or that are preferred for the first one. Nothing is
// read where nothing is asked for.
func (n *networks) forNICs(ctx context.Context, want Network, nics []NIC) ([]nicSubnets, error) {
	out := make([]nicSubnets, len(nics))
	if !want.asks() {
		return out, nil
	}
	subnets, err := n.all(ctx)
	if err != nil {
		return nil, err
	}
	for i, nic := range nics {
		switch {
		case want.staticOn(i):
			s, err := staticSubnet(*want.StaticIP, subnets)
			if err != nil {
				return nil, err
			}
			out[i] = nicSubnets{choice: []inventory.Subnet{s}, must: true}
		case nic.Subnet != "":
			s, err := resolve(nic.Subnet, subnets)
			if err != nil {
				return nil, err
			}
			out[i] = nicSubnets{choice: []inventory.Subnet{s}, must: true}
		case i == 0:
			out[i].choice = preferred(want.PreferredSubnets, subnets)
		}
	}
	return out, nil
}

// demanded gives the subnets without which a host can't have the VM. A NIC whose bridge is named goes
// to that bridge, whatever its VLAN is.
func (n *networks) demanded(ctx context.Context, want Network) ([]placement.Subnet, error) {
	if want.StaticIP == nil && !want.namesSubnet() {
		return nil, nil
	}
	nics := want.nics()
	of, err := n.forNICs(ctx, want, nics)
	if err != nil {
		return nil, err
	}
	var demanded []placement.Subnet
	for i, nic := range nics {
		if of[i].must && nic.Bridge == "" {
			demanded = append(demanded, placement.Subnet{Name: of[i].choice[0].Name, VLANID: of[i].choice[0].VLANID})
		}
	}
	return demanded, nil
}

// asks says whether the network has any wish at all.
func (n Network) asks() bool {
	return n.StaticIP != nil || len(n.PreferredSubnets) > 0 || len(n.Families) > 0 || n.namesSubnet()
}

func (n Network) namesSubnet() bool {
	return slices.ContainsFunc(n.Interfaces, func(i NIC) bool { return i.Subnet != "" })
}

// staticOn says whether the fixed address is for the NIC of this position.
func (n Network) staticOn(i int) bool {
	if n.StaticIP == nil {
		return false
	}
	if n.StaticIP.Interface == "" {
		return i == 0
	}
	return n.nics()[i].Name == n.StaticIP.Interface
}

// resolve finds a subnet by MAAS id, CIDR or name.
func resolve(text string, subnets []inventory.Subnet) (inventory.Subnet, error) {
	id, idErr := strconv.Atoi(text)
	cidr, cidrErr := netip.ParsePrefix(text)
	for _, s := range subnets {
		if idErr == nil && s.ID == id || cidrErr == nil && s.CIDR == cidr.Masked() || s.Name == text {
			return s, nil
		}
	}
	return inventory.Subnet{}, fault.New(fault.Invalid, fault.ReasonSubnetNotFound, "MAAS has no subnet %q", text).WithField("network.interfaces")
}

// preferred gives the managed subnets of the CIDRs, in the CIDRs' order. A CIDR stands for the
// subnets inside it too.
func preferred(cidrs []netip.Prefix, subnets []inventory.Subnet) []inventory.Subnet {
	var out []inventory.Subnet
	for _, c := range cidrs {
		for _, s := range subnets {
			if s.Managed && c.Bits() <= s.CIDR.Bits() && c.Contains(s.CIDR.Addr()) {
				out = append(out, s)
			}
		}
	}
	return out
}

// link compares the links of a claimed machine with what is wanted and puts the differences right.
// It gives the machine as it is then, and how many links were made; Refused where the network can't be had there.
func (n *networks) link(ctx context.Context, m inventory.Machine, want Network) (inventory.Machine, int, error) {
	if !want.asks() {
		return m, 0, nil
	}
	subnets, err := n.all(ctx)
	if err != nil {
		return m, 0, err
	}
	made := 0
	for i, nic := range want.nics() {
		iface, ok := nicOf(m, i, nic.Name)
		if !ok {
			return m, made, fault.New(fault.Refused, fault.ReasonNetworkRefused, "%s has no NIC %s", m.Hostname, nic.Name)
		}
		wanted, err := wantedLinks(iface, i, nic, want, subnets)
		if err != nil {
			return m, made, err
		}
		for _, request := range differences(iface, wanted) {
			linked, err := n.maas.LinkSubnet(ctx, m.SystemID, request)
			if err != nil {
				return m, made, linkError(m, iface, err)
			}
			m = withInterface(m, linked)
			made++
		}
	}
	return m, made, nil
}

// withInterface gives the machine with one of its interfaces as MAAS has just told it. Before a deployment its addresses are
// those of its links.
func withInterface(m inventory.Machine, changed inventory.Interface) inventory.Machine {
	m.Interfaces = slices.Clone(m.Interfaces)
	m.Addresses = nil
	for i := range m.Interfaces {
		if m.Interfaces[i].ID == changed.ID {
			m.Interfaces[i] = changed
		}
		for _, l := range m.Interfaces[i].Links {
			if l.Address.IsValid() {
				m.Addresses = append(m.Addresses, l.Address)
			}
		}
	}
	return m
}

// linkError makes the host's fault of a link that MAAS refuses for another reason than the address.
func linkError(m inventory.Machine, iface inventory.Interface, err error) error {
	if fault.Is(err, fault.Invalid) {
		switch fault.ReasonOf(err) {
		case fault.ReasonStaticIPTaken, fault.ReasonStaticIPInvalid, fault.ReasonStaticIPGatewayMismatch:
		default:
			return fault.Wrap(err, fault.Refused, fault.ReasonNetworkRefused, "link %s of %s", iface.Name, m.Hostname)
		}
	}
	return fmt.Errorf("link %s of %s: %w", iface.Name, m.Hostname, err)
}

// nicOf finds a NIC by name, the first one also as the boot interface.
func nicOf(m inventory.Machine, position int, name string) (inventory.Interface, bool) {
	i := slices.IndexFunc(m.Interfaces, func(i inventory.Interface) bool { return i.Name == name })
	if i >= 0 {
		return m.Interfaces[i], true
	}
	if position == 0 {
		return m.BootInterface()
	}
	return inventory.Interface{}, false
}
