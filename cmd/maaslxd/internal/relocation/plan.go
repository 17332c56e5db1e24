package relocation

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/capmaas/capmaas/proto/errorinfo"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// Selector ranks hosts for a VM; the service's client is one.
type Selector interface {
	SelectHost(ctx context.Context, in *lxdprovisionerv1.SelectHostRequest, opts ...grpc.CallOption) (*lxdprovisionerv1.SelectHostResponse, error)
}

// Want is a VM that is to be made anew.
type Want struct {
	// VM is what there is.
	VM *lxdprovisionerv1.VM
	// Request is what would be asked for it; its excluded hosts and its group's peers are added to.
	Request *lxdprovisionerv1.SelectHostRequest
}

// Place is where a VM would go.
type Place struct {
	Want

	// Host is where; nil where there is none.
	Host *lxdprovisionerv1.Candidate
	// Elsewhere is where it would go if its zone did not matter; nil where it does not, or none has room.
	Elsewhere *lxdprovisionerv1.Candidate
	// Why is why there is no place.
	Why string
}

// Plan places VMs one after the other, the largest first, on other hosts than the one that is drained. hosts are all of them
// as they are now. The error is that of a call which could not be made; that no host fits is a Place.
func Plan(ctx context.Context, service Selector, drained string, hosts []*lxdprovisionerv1.Host, wants []Want) ([]Place, error) {
	free := newRoom(hosts)
	wants = slices.Clone(wants)
	slices.SortStableFunc(wants, func(a, b Want) int {
		return cmp.Or(
			cmp.Compare(b.Request.GetResources().GetMemoryMib(), a.Request.GetResources().GetMemoryMib()),
			cmp.Compare(b.Request.GetResources().GetCores(), a.Request.GetResources().GetCores()),
			cmp.Compare(a.VM.GetName(), b.VM.GetName()))
	})
	var places []Place
	for _, w := range wants {
		request, _ := proto.Clone(w.Request).(*lxdprovisionerv1.SelectHostRequest) // of the type that it had
		request.DryRun = true
		if request.GetPlacement() == nil {
			request.Placement = &lxdprovisionerv1.Placement{}
		}
		request.Placement.ExcludedHosts = append(request.Placement.ExcludedHosts, drained)
		placed := Place{Want: w}
		if err := place(ctx, service, free, request, places, &placed); err != nil {
			return nil, err
		}
		places = append(places, placed)
	}
	return places, nil
}

// place looks for a host in the zone that is demanded and, where there is none, in others.
func place(ctx context.Context, service Selector, free *room, request *lxdprovisionerv1.SelectHostRequest, before []Place, placed *Place) error {
	addPeers(request, before)
	host, why, err := first(ctx, service, free, request, true)
	if err != nil {
		return err
	}
	placed.Host, placed.Why = host, why
	if host != nil || request.GetPlacement().GetZone() == "" {
		return nil
	}
	request.Placement.Zone = nil
	placed.Elsewhere, _, err = first(ctx, service, free, request, false)
	return err
}

// addPeers keeps a VM away from those of its group that the plan has placed already.
func addPeers(request *lxdprovisionerv1.SelectHostRequest, before []Place) {
	group := request.GetGroup()
	for _, p := range before {
		if group != nil && p.Host != nil && p.Request.GetGroup().GetKey() == group.GetKey() {
			group.Peers = append(group.Peers, &lxdprovisionerv1.Peer{Name: p.VM.GetName(), HostId: p.Host.GetHostId(), Zone: p.Host.GetZone()})
		}
	}
}

// first gives the best host that still has room, and takes the room where told so; why says why there is none.
func first(ctx context.Context, service Selector, free *room, request *lxdprovisionerv1.SelectHostRequest, take bool) (*lxdprovisionerv1.Candidate, string, error) {
	answer, err := service.SelectHost(ctx, request)
	if info, ours := errorinfo.From(err); ours && info.Placement != nil {
		return nil, info.Message, nil
	}
	if err != nil {
		return nil, "", fmt.Errorf("look for a host for %s: %w", request.GetVmName(), err)
	}
	for _, c := range answer.GetCandidates() {
		if !take || free.take(c.GetHostId(), request.GetResources()) {
			return c, "", nil
		}
	}
	return nil, fmt.Sprintf("the %d hosts that fit are full with VMs that this plan puts there first", len(answer.GetCandidates())), nil
}
