// Package region is what every run asks of its simulated MAAS: its subnet, what its name servers know, and what it holds.
package region

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/capmaas/capmaas/services/maassim"
	"github.com/capmaas/capmaas/test/e2e/internal/world"
)

// The images by which a machine's version is chosen, as templates name them.
const (
	Image       = "custom/u-2404-k8s-1-36"
	ImageBefore = "custom/u-2404-k8s-1-36-before"
)

// Images are these as they are uploaded to MAAS, which shows the system before the name.
func Images() []maassim.ImageConfig {
	var all []maassim.ImageConfig
	for _, image := range []string{Image, ImageBefore} {
		all = append(all, maassim.ImageConfig{Name: strings.TrimPrefix(image, "custom/"), Uploaded: true})
	}
	return all
}

// Subnet is the one of machines, by the name that MAAS is to give it.
func Subnet(name string) maassim.SubnetConfig {
	return maassim.SubnetConfig{
		Name: name, CIDR: world.Subnet.String(), Gateway: world.Gateway.String(), DNS: []string{world.Rack.String()},
		Fabric: "fabric-machines", Dynamic: []maassim.Range{{Start: "10.10.200.0", End: "10.10.220.255"}},
		ReservedRanges: []maassim.Range{{Start: "10.10.0.1", End: "10.10.0.9"}},
	}
}

// Lookup answers from MAAS's DNS records, as its name servers do.
func Lookup(sim *maassim.Sim, name string) ([]netip.Addr, bool) {
	for _, record := range sim.DNSRecords() {
		if !strings.EqualFold(record.FQDN, name) {
			continue
		}
		var all []netip.Addr
		for _, text := range record.IPs {
			if address, err := netip.ParseAddr(text); err == nil {
				all = append(all, address)
			}
		}
		return all, true
	}
	return nil, false
}

// Others are the VMs, the machines in use and the reserved addresses that do not belong to expected machines.
func Others(sim *maassim.Sim, expected func(maassim.Machine) bool) []string {
	var all []string
	known := make(map[[2]string]bool)
	for _, m := range sim.Machines() {
		ours := expected(m)
		known[[2]string{m.Host, m.Instance}] = ours
		if !ours && !m.VMHost && (m.Status != "ready" || m.Owner != "" || m.Host != "") {
			all = append(all, fmt.Sprintf("machine %s, %s, of %q", m.Hostname, m.Status, m.Owner))
		}
	}
	for _, i := range sim.LXD() {
		if !known[[2]string{i.Host, i.Name}] {
			all = append(all, "VM "+i.Name+" on "+i.Host)
		}
	}
	for _, address := range sim.Reservations() {
		all = append(all, "reserved address "+address)
	}
	return all
}

// Left are the Others and every DNS record: what there must not be when all clusters are gone.
func Left(sim *maassim.Sim, expected func(maassim.Machine) bool) []string {
	left := Others(sim, expected)
	for _, record := range sim.DNSRecords() {
		left = append(left, "DNS record "+record.FQDN)
	}
	return left
}
