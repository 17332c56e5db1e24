package world

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// The network of the machines. The first address is its gateway; the second is MAAS's rack controller: its resolver and the
// place from which machines fetch their user data.
var (
	Subnet  = netip.MustParsePrefix("10.10.0.0/16")
	Gateway = netip.MustParseAddr("10.10.0.1")
	Rack    = netip.MustParseAddr("10.10.0.2")
)

// Second is a network without a gateway, in which machines have an address besides where they are told to. Router is what
// manages it.
var (
	Second = netip.MustParsePrefix("10.20.0.0/16")
	Router = netip.MustParseAddr("10.20.0.1")
)

// bridge is where the machines are plugged in.
const bridge = "machines"

// Furnish makes what is inside usable: proc, loopback, the bridge, and a resolv.conf that names the rack. It is called once,
// inside.
func Furnish(work string) error {
	outer, err := os.Readlink("/proc/self") // /proc is still that of outside
	if err != nil {
		return fmt.Errorf("read the process's id: %w", err)
	}
	pid = outer
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make the mounts private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	if err := resolve(work); err != nil {
		return err
	}
	if err := up("lo"); err != nil {
		return err
	}
	link := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: bridge}}
	if err := netlink.LinkAdd(link); err != nil {
		return fmt.Errorf("add the bridge: %w", err)
	}
	for _, address := range []netip.Addr{Gateway, Rack, Router} {
		if err := addAddress(link, address); err != nil {
			return err
		}
	}
	return up(bridge)
}

// pid is this process's id as the outside sees it.
var pid string

// PID is the id of the first process inside, as the outside sees it.
func PID() string { return pid }

func resolve(work string) error {
	file := filepath.Join(work, "resolv.conf")
	if err := os.WriteFile(file, []byte("nameserver "+Rack.String()+"\n"), 0o600); err != nil {
		return fmt.Errorf("write resolv.conf: %w", err)
	}
	target, err := filepath.EvalSymlinks("/etc/resolv.conf")
	if err != nil {
		return fmt.Errorf("find resolv.conf: %w", err)
	}
	if err := unix.Mount(file, target, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("put resolv.conf in its place: %w", err)
	}
	return nil
}

func up(name string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("find %s: %w", name, err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("bring %s up: %w", name, err)
	}
	return nil
}

func addAddress(link netlink.Link, address netip.Addr) error {
	network := Subnet
	if Second.Contains(address) {
		network = Second
	}
	net := &net.IPNet{IP: address.AsSlice(), Mask: net.CIDRMask(network.Bits(), address.BitLen())}
	if err := netlink.AddrAdd(link, &netlink.Addr{IPNet: net}); err != nil {
		return fmt.Errorf("give %s the address %s: %w", link.Attrs().Name, address, err)
	}
	return nil
}

// Own makes every address of the machines one of this machine's own, so that programs can listen at any of them without an
// interface that has it. It takes the place of plugging machines in.
func Own() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find lo: %w", err)
	}
	route := &netlink.Route{
		LinkIndex: lo.Attrs().Index, Type: unix.RTN_LOCAL, Table: unix.RT_TABLE_LOCAL, Scope: netlink.SCOPE_HOST,
		Dst: &net.IPNet{IP: Subnet.Addr().AsSlice(), Mask: net.CIDRMask(Subnet.Bits(), Subnet.Addr().BitLen())},
	}
	if err := netlink.RouteAdd(route); err != nil {
		return fmt.Errorf("make %s local: %w", Subnet, err)
	}
	return nil
}

// nic is the name of a machine's interface, on its side.
const nic = "eth0"

// Rehearse tries all that a run asks of the kernel, so that what is not there is known before anything is built. It is called once,
// inside, and in place of Furnish.
func Rehearse() (err error) {
	work, err := os.MkdirTemp("", "e2e-check-")
	if err != nil {
		return fmt.Errorf("make a directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	const cable = "check"
	defer Unplug(cable)
	if err = Furnish(work); err == nil {
		err = Plug(os.Getpid(), cable)
	}
	if err != nil {
		return fmt.Errorf("a run of real clusters needs a kernel that lets it do this: %w", err)
	}
	return nil
}

// Plug gives the network namespace of a process an interface on the bridge. The name is the interface's on the bridge's
// side; it goes with the namespace.
func Plug(pid int, name string) error {
	link, err := netlink.LinkByName(bridge)
	if err != nil {
		return fmt.Errorf("find the bridge: %w", err)
	}
	cable := &netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: name, MasterIndex: link.Attrs().Index},
		PeerName:  nic, PeerNamespace: netlink.NsPid(pid),
	}
	if err := netlink.LinkAdd(cable); err != nil {
		return fmt.Errorf("add the cable %s: %w", name, err)
	}
	return up(name)
}

// Unplug takes the interface away, if it is still there.
func Unplug(name string) {
	if link, err := netlink.LinkByName(name); err == nil {
		_ = netlink.LinkDel(link) // the kernel may be taking it away at this moment
	}
}

// Configure gives the machine's interface its addresses and the route to everything else; it is called by the machine.
func Configure(addresses ...netip.Addr) error {
	if err := up("lo"); err != nil {
		return err
	}
	link, err := netlink.LinkByName(nic)
	if err != nil {
		return fmt.Errorf("find %s: %w", nic, err)
	}
	for _, address := range addresses {
		if err := addAddress(link, address); err != nil {
			return err
		}
	}
	if err := up(nic); err != nil {
		return err
	}
	if err := netlink.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Gw: Gateway.AsSlice()}); err != nil {
		return fmt.Errorf("add the default route: %w", err)
	}
	return nil
}
