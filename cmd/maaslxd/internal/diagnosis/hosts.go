package diagnosis

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/capmaas/capmaas/cmd/maaslxd/internal/advice"
	"github.com/capmaas/capmaas/cmd/maaslxd/internal/service"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

const (
	// defaultProject is LXD's own project, in which strangers' VMs are likely to be.
	defaultProject = "default"
	// mostNamed is how many hosts or VMs one finding names.
	mostNamed = 10
)

// broken are the reasons for which a host will not come back by itself.
var broken = map[lxdprovisionerv1.RejectionReason]bool{
	lxdprovisionerv1.RejectionReason_REJECTION_REASON_BAD_TAG:              true,
	lxdprovisionerv1.RejectionReason_REJECTION_REASON_LXD_TOO_NEW_FOR_MAAS: true,
	lxdprovisionerv1.RejectionReason_REJECTION_REASON_NOT_COMPOSABLE:       true,
}

// checkHosts looks at whether hosts are usable, in which LXD project MAAS works, and at zones without a host.
func checkHosts(ctx context.Context, c *service.Client) []Finding {
	n := &notes{area: "Hosts"}
	hosts, _, err := c.Hosts(ctx, "", "")
	if err != nil {
		failed(n, "the hosts can't be listed", err)
		return n.all
	}
	usable := map[string]int{}
	inDefault, unknown := []string{}, []string{}
	for _, h := range hosts {
		switch r := h.GetUnusable(); {
		case r == nil:
			usable[h.GetZone()]++
		case broken[r.GetReason()]:
			n.addf(Wrong, advice.ForRejection(r.GetReason()), "host %s: %s", h.GetName(), r.GetMessage())
		default:
			n.addf(Warning, advice.ForRejection(r.GetReason()), "host %s: %s", h.GetName(), r.GetMessage())
		}
		switch h.GetProject() {
		case defaultProject:
			inDefault = append(inDefault, h.GetName())
		case "":
			unknown = append(unknown, h.GetName())
		}
	}
	countHosts(n, len(hosts), usable)
	checkProjects(n, inDefault, unknown, len(hosts))
	checkZones(ctx, n, c, usable)
	return n.all
}

func countHosts(n *notes, all int, usable map[string]int) {
	sum := 0
	for _, count := range usable {
		sum += count
	}
	switch {
	case all == 0:
		n.addf(Wrong, "add LXD VM hosts to MAAS; bare metal works without", "MAAS has no LXD host")
	case sum == 0:
		n.addf(Wrong, "look at the reason of each: maaslxd hosts", "none of the %d hosts is usable", all)
	default:
		n.okf("%d of %d hosts are usable", sum, all)
	}
}

func checkProjects(n *notes, inDefault, unknown []string, all int) {
	if len(inDefault) > 0 {
		n.addf(Wrong, "let MAAS track an LXD project of its own on each host: a refresh imports every VM of the project and restarts it",
			"MAAS tracks LXD's project %q on %s", defaultProject, named(inDefault))
	}
	if len(unknown) > 0 {
		n.addf(Warning, "see in MAAS that each host has an LXD project of its own", "the LXD project is not known of %s", named(unknown))
	}
	if all > 0 && len(inDefault)+len(unknown) == 0 {
		n.okf("MAAS tracks an LXD project of its own on each host")
	}
}

func checkZones(ctx context.Context, n *notes, c *service.Client, usable map[string]int) {
	ctx, cancel := c.Within(ctx)
	defer cancel()
	answer, err := c.Region.ListZones(ctx, &lxdprovisionerv1.ListZonesRequest{})
	if err != nil {
		failed(n, "the zones can't be listed", err)
		return
	}
	for _, z := range answer.GetZones() {
		if z.GetHasLxdHosts() && usable[z.GetName()] == 0 {
			n.addf(Warning, "bring a host of the zone back, or leave the zone out of the clusters' failureDomains", "zone %s has LXD hosts, but none that is usable", z.GetName())
		}
	}
	if zones := slices.Sorted(maps.Keys(usable)); len(zones) > 1 {
		n.okf("usable hosts are in the zones %s", strings.Join(zones, ", "))
	} else if len(zones) == 1 {
		n.addf(Warning, "put hosts into several zones in MAAS, so that a control plane outlives one", "all usable hosts are in zone %s", zones[0])
	}
}

// checkVMs looks for deployed VMs that MAAS has lost sight of.
func checkVMs(ctx context.Context, c *service.Client) []Finding {
	n := &notes{area: "VMs"}
	vms, err := c.ListVMs(ctx, "")
	if err != nil {
		failed(n, "the VMs can't be listed", err)
		return n.all
	}
	var nameless, bad []string
	for _, vm := range vms {
		switch state := vm.GetStatus().GetState(); state {
		case lxdprovisionerv1.MachineState_MACHINE_STATE_DEPLOYED:
			if len(vm.GetStatus().GetAddresses()) == 0 {
				nameless = append(nameless, vm.GetName())
			}
		case lxdprovisionerv1.MachineState_MACHINE_STATE_FAILED, lxdprovisionerv1.MachineState_MACHINE_STATE_BROKEN:
			bad = append(bad, vm.GetName()+" ("+vm.GetStatus().GetMaasStatus()+")")
		default:
		}
	}
	if len(nameless) > 0 {
		n.addf(Warning, "compare their MAC addresses in MAAS: two VMs with one may lose their interface, and a refresh then deletes them", "deployed without an address in MAAS: %s", named(nameless))
	}
	if len(bad) > 0 {
		n.addf(Warning, "look at their events in MAAS, and at maaslxd explain", "in trouble: %s", named(bad))
	}
	if len(nameless)+len(bad) == 0 {
		n.okf("%d VMs, none in trouble", len(vms))
	}
	return n.all
}

// named names the first of them.
func named(all []string) string {
	text := strings.Join(all[:min(len(all), mostNamed)], ", ")
	if len(all) > mostNamed {
		text += " and others"
	}
	return text
}
