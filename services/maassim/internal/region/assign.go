package region

import (
	"net/http"
	"net/netip"

	"github.com/capmaas/capmaas/services/maassim/internal/network"
	"github.com/capmaas/capmaas/services/maassim/internal/rest"
)

// hold gives a link an address.
func (r *Region) hold(l *link, ip netip.Addr, alloc int) {
	a := r.newAddress(ip, l.subnet, alloc, nil)
	a.link, l.address = l, a
}

// newAddress makes an address row. The owner is who reserved it; what a link holds has none.
func (r *Region) newAddress(ip netip.Addr, in *network.Subnet, alloc int, owner *rest.User) *address {
	r.ids.address++
	now := r.clock()
	a := &address{id: r.ids.address, ip: ip, alloc: alloc, owner: owner, subnet: in, created: now, updated: now}
	r.addresses.Add(a)
	if in != nil {
		in.Take(ip)
	}
	return a
}

func (r *Region) taken(ip netip.Addr) bool { return len(r.addresses.byIP.View(ip)) > 0 }

// freeAddress takes a link's address away, and it out of DNS.
func (r *Region) freeAddress(l *link) {
	if l.address == nil {
		return
	}
	r.removeAddress(l.address)
	l.address = nil
}

// removeAddress removes an address row, and it out of DNS.
func (r *Region) removeAddress(a *address) {
	r.addresses.Remove(a)
	r.dropFromRecords(a)
	r.forgetStray(a)
	if a.subnet != nil {
		a.subnet.Freed(a.ip)
	}
}

// removeLink removes a link with its address.
func (r *Region) removeLink(l *link) {
	r.freeAddress(l)
	for at, other := range l.iface.links {
		if other == l {
			l.iface.links = append(l.iface.links[:at], l.iface.links[at+1:]...)
			return
		}
	}
}

// claimAuto gives every AUTO link of a machine an address. Without one left in the subnet it gives none and answers as MAAS does.
func (r *Region) claimAuto(m *machine) error {
	var claimed []*link
	for _, i := range m.interfaces {
		err := r.claimFor(i, &claimed)
		if err == nil {
			continue
		}
		for _, undo := range claimed {
			r.freeAddress(undo)
		}
		return err
	}
	return nil
}

// claimFor gives the AUTO links of one interface their addresses: the one that is reserved for its MAC address, else any that is reserved for
// no other.
func (r *Region) claimFor(i *iface, claimed *[]*link) error {
	own := r.reservedFor(i.mac)
	used, links := false, 0
	for _, l := range i.links {
		if l.mode != modeAuto || l.address != nil {
			continue
		}
		links++
		ip, ok := l.subnet.Next(r.reservedIn(l.subnet)...)
		switch {
		case own != nil && own.subnet == l.subnet && !used:
			ip, used = own.ip, true
			if r.taken(ip) {
				return rest.Text(http.StatusNotFound, "The IP address %s is already in use.", ip)
			}
		case !ok:
			return rest.Text(http.StatusServiceUnavailable, "%s: Unable to allocate static IP due to address exhaustion.", i.machine.systemID)
		}
		r.hold(l, ip, allocAuto)
		*claimed = append(*claimed, l)
	}
	if own != nil && links > 0 && !used {
		return rest.Text(http.StatusNotFound, "This interface %s has a reserved ip %s but it does not have a link to that subnet", i.mac, own.ip)
	}
	return nil
}

// freeAuto takes the addresses of AUTO links away.
func (r *Region) freeAuto(m *machine) {
	for _, l := range m.links() {
		if l.mode == modeAuto {
			r.freeAddress(l)
		}
	}
}

// subnetFor returns the subnet that holds an address, the most specific one of several.
func (r *Region) subnetFor(ip netip.Addr) *network.Subnet {
	var best *network.Subnet
	for _, s := range r.subnets {
		if s.CIDR.Contains(ip) && (best == nil || s.CIDR.Bits() > best.CIDR.Bits()) {
			best = s
		}
	}
	return best
}
