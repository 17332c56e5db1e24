package provisioner

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/version"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

const (
	// RegionAge is how old an answer may be: all clusters share one question a minute.
	RegionAge = time.Minute
	// soundAge is how old it may be where nothing is wrong with the region: the service asks MAAS three things for it.
	soundAge = 2 * time.Minute
	// ZonesAge is how old the list of zones may be for whom nothing depends on it: MAAS lists all hosts for it.
	ZonesAge = 10 * time.Minute
)

// Region remembers what the provisioner says of itself and of its MAAS.
type Region struct {
	// Client is the service.
	Client lxdprovisionerv1.RegionProvisionerClient
	// Version is the manager's own, with which the service's must agree.
	Version string
	// Scale multiplies the age of an answer.
	Scale float64
	// Clock tells the time.
	Clock func() time.Time

	mu              sync.Mutex
	asked           time.Time
	reason, message string
	listed          time.Time
	zones           []*lxdprovisionerv1.Zone
	unlisted        error
	imagesListed    time.Time
	images          []*lxdprovisionerv1.AvailableImage
	imagesUnlisted  error
}

// Problem is what keeps the provisioner from working, as a condition's reason and message; both are empty where nothing
// does. A version that does not agree is one too: the contract may differ.
func (r *Region) Problem(ctx context.Context) (reason, message string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	age := RegionAge
	if r.reason == "" {
		age = soundAge
	}
	if r.fresh(r.asked, age) {
		return r.reason, r.message
	}
	answer, err := r.Client.GetRegion(ctx, &lxdprovisionerv1.GetRegionRequest{})
	r.asked = r.Clock()
	r.reason, r.message = problemOf(answer, err, r.Version)
	return r.reason, r.message
}

// Zones lists MAAS's availability zones, as they were at most so long ago. A failure, and the loss of a zone, are not believed for longer
// than RegionAge. The error is the service's own, for Delays.Of.
func (r *Region) Zones(ctx context.Context, age time.Duration) ([]*lxdprovisionerv1.Zone, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.unlisted != nil || slices.ContainsFunc(r.zones, (*lxdprovisionerv1.Zone).GetLxdHostsUnusable) {
		age = min(age, RegionAge)
	}
	if r.fresh(r.listed, age) {
		return r.zones, r.unlisted
	}
	answer, err := r.Client.ListZones(ctx, &lxdprovisionerv1.ListZonesRequest{})
	r.listed, r.zones, r.unlisted = r.Clock(), answer.GetZones(), nil
	if err != nil {
		// A failure is shared too, or every cluster would wait for a silent service in turn.
		r.unlisted = fmt.Errorf("list zones: %w", err)
	}
	return r.zones, r.unlisted
}

// Images lists the images that MAAS has. The error is the service's own, for Delays.Of.
func (r *Region) Images(ctx context.Context) ([]*lxdprovisionerv1.AvailableImage, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fresh(r.imagesListed, RegionAge) {
		return r.images, r.imagesUnlisted
	}
	answer, err := r.Client.ListImages(ctx, &lxdprovisionerv1.ListImagesRequest{})
	r.imagesListed, r.images, r.imagesUnlisted = r.Clock(), answer.GetImages(), nil
	if err != nil {
		r.imagesUnlisted = fmt.Errorf("list images: %w", err)
	}
	return r.images, r.imagesUnlisted
}

func (r *Region) fresh(since time.Time, age time.Duration) bool {
	return !since.IsZero() && r.Clock().Sub(since) < time.Duration(float64(age)*r.Scale)
}

func problemOf(answer *lxdprovisionerv1.GetRegionResponse, err error, own string) (reason, message string) {
	if err != nil {
		out := DefaultDelays().Of(err)
		if out.Reason == OutcomeUnknownReason {
			return infrav1.ProvisionerUnreachableReason, out.Message
		}
		return out.Reason, out.Message
	}
	if answer.GetProblem() != "" {
		return cmp.Or(answer.GetProblemReason(), infrav1.ProvisionerUnreachableReason), answer.GetProblem()
	}
	if !sameMinor(own, answer.GetServiceVersion()) {
		return infrav1.ProvisionerVersionMismatchReason, fmt.Sprintf(
			"the manager is version %s and the provisioner %s; install the same minor version of both", own, answer.GetServiceVersion())
	}
	return "", ""
}

// sameMinor compares releases by major and minor version. A build that is no release can't be compared and is accepted.
func sameMinor(a, b string) bool {
	one, err := version.ParseSemantic(a)
	if err != nil {
		return true
	}
	other, err := version.ParseSemantic(b)
	if err != nil {
		return true
	}
	return one.Major() == other.Major() && one.Minor() == other.Minor()
}
