package maascluster

import (
	"cmp"
	"context"
	"slices"
	"time"

	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/controllers/internal/provisioner"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// reconcileFailureDomains writes the zones into the status: those of the spec, else MAAS's own.
func (r *Reconciler) reconcileFailureDomains(ctx context.Context, s *scope) (time.Duration, error) {
	if named := s.infra.Spec.FailureDomains; len(named) > 0 {
		domains := make([]clusterv1.FailureDomain, 0, len(named))
		for _, zone := range named {
			domains = append(domains, clusterv1.FailureDomain{Name: zone, ControlPlane: new(true)})
		}
		s.infra.Status.SetFailureDomains(domains)
		s.failureDomainsKnown = true
		return 0, nil
	}
	zones, err := r.Region.Zones(ctx)
	if out := r.Delays.Of(err); out.Action != provisioner.Done {
		s.zones = -1
		// The zones that are known already stand: an outage must not take a control plane's failure domains away.
		s.failureDomainsKnown = len(s.infra.Status.FailureDomains) > 0
		if s.region.isZero() {
			s.region = problem{reason: out.Reason, message: out.Message}
		}
		return max(out.Delay, r.Delays.Working), nil
	}
	metal, err := r.bareMetalOnly(ctx, s)
	if err != nil {
		return 0, err
	}
	s.zones = len(zones)
	s.infra.Status.SetFailureDomains(fitting(failureDomainsOf(zones, metal)))
	s.failureDomainsKnown = true
	return 0, nil
}

// failureDomainsOf makes failure domains of MAAS's zones. Control planes go where LXD hosts are, because MAAS always has a
// zone "default" which often holds nothing; where no zone has any, or the control plane is bare metal, any zone will do.
func failureDomainsOf(zones []*lxdprovisionerv1.Zone, bareMetalOnly bool) []clusterv1.FailureDomain {
	anyHosts := false
	for _, zone := range zones {
		anyHosts = anyHosts || zone.GetHasLxdHosts()
	}
	domains := make([]clusterv1.FailureDomain, 0, len(zones))
	for _, zone := range zones {
		suits := bareMetalOnly || !anyHosts || zone.GetHasLxdHosts()
		domains = append(domains, clusterv1.FailureDomain{Name: zone.GetName(), ControlPlane: new(suits)})
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
func (r *Reconciler) bareMetalOnly(ctx context.Context, s *scope) (bool, error) {
	machines, _, err := r.controlPlane(ctx, s)
	if err != nil {
		return false, err
	}
	for _, m := range machines {
		if m.Spec.Mode() == infrav1.ModeLXD {
			return false, nil
		}
	}
	return len(machines) > 0, nil
}
