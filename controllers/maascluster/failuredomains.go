package maascluster

import (
	"cmp"
	"context"
	"slices"
	"time"

	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/controllers/internal/provisioner"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// reconcileFailureDomains writes the zones into the status: those of the spec, else MAAS's own.
func (r *Reconciler) reconcileFailureDomains(ctx context.Context, s *scope) (time.Duration, error) {
	machines, _, err := r.controlPlane(ctx, s)
	if err != nil {
		return 0, err
	}
	replacing := slices.ContainsFunc(machines, func(m *infrav1.MaasMachine) bool { return !m.DeletionTimestamp.IsZero() })
	age := provisioner.ZonesAge
	if replacing {
		// The successor goes where this says, and the machine may leave because its zone is lost.
		age = provisioner.RegionAge
	}
	zones, err := r.Region.Zones(ctx, age)
	if out := r.Delays.Of(err); out.Action != provisioner.Done {
		r.keepFailureDomains(s, problem{reason: out.Reason, message: out.Message})
		return max(out.Delay, r.Delays.Working), nil
	}
	if named := zonesOf(s.infra); len(named) > 0 {
		zones = theNamed(zones, named)
	} else {
		s.zones = len(zones)
	}
	// The templates of the existing provider name "default" beside the zone of the hosts.
	rules := []rule{usable, (*lxdprovisionerv1.Zone).GetHasLxdHosts, anyZone}
	if bareMetalOnly(machines) {
		rules = []rule{anyZone}
	}
	s.infra.Status.SetFailureDomains(fitting(failureDomainsOf(zones, rules)))
	s.failureDomainsKnown = true
	if replacing {
		return r.Delays.Working, nil
	}
	if slices.ContainsFunc(zones, (*lxdprovisionerv1.Zone).GetLxdHostsUnusable) {
		return r.Delays.Slow, nil
	}
	return 0, nil
}

// keepFailureDomains writes what can be said while MAAS's zones cannot be listed. Those that are known already stand: an outage
// must not take a control plane's failure domains away.
func (r *Reconciler) keepFailureDomains(s *scope, why problem) {
	known := s.infra.Status.FailureDomains
	if named := zonesOf(s.infra); len(named) > 0 {
		domains := make([]clusterv1.FailureDomain, 0, len(named))
		for _, zone := range named {
			at := slices.IndexFunc(known, func(d clusterv1.FailureDomain) bool { return d.Name == zone })
			domains = append(domains, clusterv1.FailureDomain{Name: zone, ControlPlane: new(at < 0 || forControlPlanes(known[at]))})
		}
		if !slices.ContainsFunc(domains, forControlPlanes) {
			// Without any, Cluster API would leave the zone to us.
			for i := range domains {
				domains[i].ControlPlane = new(true)
			}
		}
		s.infra.Status.SetFailureDomains(domains)
		s.failureDomainsKnown = true
		return
	}
	s.zones = -1
	s.failureDomainsKnown = len(known) > 0
	if s.region.isZero() {
		s.region = why
	}
}

// zonesOf gives the zones that the spec names, each once. The existing provider's templates name a zone and MAAS's "default", and
// where there is no other zone both are the same.
func zonesOf(infra *infrav1.MaasCluster) []string {
	var named []string
	for _, zone := range infra.Spec.FailureDomains {
		if !slices.Contains(named, zone) {
			named = append(named, zone)
		}
	}
	return named
}

func forControlPlanes(d clusterv1.FailureDomain) bool { return ptr.Deref(d.ControlPlane, false) }

// theNamed gives what MAAS says of the zones that the spec names; of one that MAAS does not have, that there is nothing.
func theNamed(zones []*lxdprovisionerv1.Zone, named []string) []*lxdprovisionerv1.Zone {
	all := make([]*lxdprovisionerv1.Zone, 0, len(named))
	for _, name := range named {
		at := slices.IndexFunc(zones, func(z *lxdprovisionerv1.Zone) bool { return z.GetName() == name })
		if at < 0 {
			all = append(all, &lxdprovisionerv1.Zone{Name: name})
			continue
		}
		all = append(all, zones[at])
	}
	return all
}

// rule says in which zones control planes go.
type rule func(*lxdprovisionerv1.Zone) bool

func usable(zone *lxdprovisionerv1.Zone) bool {
	return zone.GetHasLxdHosts() && !zone.GetLxdHostsUnusable()
}

func anyZone(*lxdprovisionerv1.Zone) bool { return true }

// failureDomainsOf makes failure domains of zones. Control planes go where the first rule says that suits any zone: to usable LXD
// hosts, because MAAS always has a zone "default" which often holds nothing, and because a Machine that Cluster API sends to a
// zone without power is not made before the zone is back.
func failureDomainsOf(zones []*lxdprovisionerv1.Zone, rules []rule) []clusterv1.FailureDomain {
	suits := rules[slices.IndexFunc(rules, func(suits rule) bool { return len(zones) == 0 || slices.ContainsFunc(zones, suits) })]
	domains := make([]clusterv1.FailureDomain, 0, len(zones))
	for _, zone := range zones {
		domains = append(domains, clusterv1.FailureDomain{Name: zone.GetName(), ControlPlane: new(suits(zone))})
	}
	return domains
}

// mostFailureDomains is how many the contract of Cluster API lets a cluster have.
const mostFailureDomains = 100

// fitting leaves out what does not fit into the status, which the API server would refuse as a whole: the last ones by name
// of those in which no control plane goes, and then of the rest.
func fitting(domains []clusterv1.FailureDomain) []clusterv1.FailureDomain {
	if len(domains) <= mostFailureDomains {
		return domains
	}
	byName := func(a, b clusterv1.FailureDomain) int { return cmp.Compare(a.Name, b.Name) }
	slices.SortFunc(domains, func(a, b clusterv1.FailureDomain) int {
		if *a.ControlPlane != *b.ControlPlane {
			if *a.ControlPlane {
				return -1
			}
			return 1
		}
		return byName(a, b)
	})
	domains = domains[:mostFailureDomains]
	slices.SortFunc(domains, byName)
	return domains
}

// bareMetalOnly says whether the control plane has machines, and all of them are bare metal.
func bareMetalOnly(machines []*infrav1.MaasMachine) bool {
	return len(machines) > 0 && !slices.ContainsFunc(machines, func(m *infrav1.MaasMachine) bool { return m.Spec.Mode() == infrav1.ModeLXD })
}
