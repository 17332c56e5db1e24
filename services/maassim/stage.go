package maassim

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/capmaas/capmaas/services/maassim/internal/gate"
	"github.com/capmaas/capmaas/services/maassim/internal/lxd"
	"github.com/capmaas/capmaas/services/maassim/internal/region"
	"github.com/capmaas/capmaas/services/maassim/internal/rest"
)

// Ending is how an operation ends that Finish ends.
type Ending = region.Ending

// Places where calls can be held besides the operations of the API, whose names are places too: there a call was admitted and has not begun.
const (
	PlaceLXDCreated = region.PlaceCreated    // LXD has the VM, MAAS has no row of it
	PlaceLXDListed  = region.PlaceListed     // a discovery has LXD's list and has not acted on it
	PlaceDeleting   = region.PlaceDeleting   // MAAS has found the machine to delete and LXD still has its VM
	PlaceDeployRead = region.PlaceDeployRead // a deploy has read the machine and has not written it
)

// AnyName holds a call at a place whatever host or machine it is about.
const AnyName = gate.Any

// Finish ends what is under way on the machine of this hostname or system id: commissioning, deploying, releasing, or taking the inventory of a
// VM host. It fails when nothing is.
func (s *Sim) Finish(machine string, end Ending) error { return s.region.Finish(machine, end) }

// Hold makes the next call wait that gets to the place on behalf of the VM host, or of the machine of this hostname or system id, until LetGo or
// Close. Later calls pass while it waits. The host or machine need not be there yet.
func (s *Sim) Hold(place, name string) { s.gates.Hold(place, name) }

// AwaitHeld returns when a call waits at a place that Hold named.
func (s *Sim) AwaitHeld(ctx context.Context, place, name string) error {
	return s.gates.Await(ctx, place, name)
}

// LetGo lets the call that waits at a place go on, and holds nothing there any more.
func (s *Sim) LetGo(place, name string) error { return s.gates.LetGo(place, name) }

// Disconnect takes the rack controllers away, without which MAAS reaches no LXD, or brings them back.
func (s *Sim) Disconnect(disconnected bool) { s.lxd.Disconnect(disconnected) }

// MutePower lets nobody report to MAAS how power commands end, so that its rows show the power state of before until it asks; or each again.
func (s *Sim) MutePower(muted bool) { s.region.MutePower(muted) }

// FailNext makes LXD on a host refuse the next VM with these words.
func (s *Sim) FailNext(host, words string) error { return s.lxd.FailNext(host, words) }

// AttachNext makes the first NIC of the next VM on a host hang on this bridge, which MAAS need not know, or have this MAC address.
func (s *Sim) AttachNext(host, bridge, mac string) error {
	return s.lxd.AttachNext(host, lxd.NIC{Parent: bridge, MAC: mac})
}

// StopInstances stops every VM of every host in LXD, of which MAAS is not told.
func (s *Sim) StopInstances() { s.lxd.StopAll() }

// AddSubnet adds a subnet.
func (s *Sim) AddSubnet(c SubnetConfig) error { return s.region.AddSubnet(c) }

// AddMetal adds a bare-metal machine.
func (s *Sim) AddMetal(c MetalConfig) error { return s.region.AddMetal(c) }

// Rebuild changes the cores, the memory or the bridges of an LXD server; MAAS learns of it at its next inventory.
func (s *Sim) Rebuild(host string, c HostConfig) error { return s.region.Rebuild(host, c) }

// gate is where a call inside MAAS may be held.
func (s *Sim) gate(place string, names ...string) { s.gates.Pass(s.done, place, names...) }

// stopAtPlaces makes every operation a place where its calls can be held.
func (s *Sim) stopAtPlaces(resources []rest.Resource) []rest.Resource {
	for _, res := range resources {
		for n, action := range res.Actions {
			handle := action.Handle
			res.Actions[n].Handle = func(q *rest.Request) (any, error) {
				if !s.gates.Idle() {
					s.gates.Pass(s.done, action.Name, s.region.NamesIn(action.Name, q.Path)...)
				}
				return handle(q)
			}
		}
	}
	return resources
}

// errNoPlace is what a hold at a place that there is not fails with.
var errNoPlace = errors.New("no place")

// checkedHold holds where a call can get: the place exists, and so does the host or machine.
func (s *Sim) checkedHold(place, name string) error {
	places := slices.Concat(region.Places(), s.api.Operations())
	if !slices.Contains(places, place) {
		return fmt.Errorf("%w %q: there are %s", errNoPlace, place, strings.Join(places, ", "))
	}
	if name != AnyName {
		if err := s.region.CheckPlaced(name); err != nil {
			return err
		}
	}
	s.Hold(place, name)
	return nil
}

// stageRoutes are the stage directions. Their bodies are JSON and optional.
func (s *Sim) stageRoutes() []route {
	return []route{
		{
			"POST /_sim/machines/{machine}/finish", `end what is under way on the machine: {}, {"failed": true}, {"byHand": true, "status": "ready", "power": "on"}`,
			direct(func(r *http.Request, end Ending) error { return s.Finish(r.PathValue("machine"), end) }),
		},
		{
			"POST /_sim/machines", `add bare metal: {"name": "metal-9", "cores": 8, "memoryMiB": 16384, "zone": "az1"}`,
			direct(func(_ *http.Request, c MetalConfig) error { return s.AddMetal(c) }),
		},
		{
			"POST /_sim/subnets", `add a subnet: {"name": "more", "cidr": "10.40.0.0/24", "fabric": "fabric-data"}`,
			direct(func(_ *http.Request, c SubnetConfig) error { return s.AddSubnet(c) }),
		},
		{
			"PUT /_sim/hosts/{host}", `change cores, memory or bridges of the host: {"cores": 64, "memoryMiB": 262144}`,
			direct(func(r *http.Request, c HostConfig) error { return s.Rebuild(r.PathValue("host"), c) }),
		},
		{
			"PUT /_sim/hosts/{host}/next", `how the next VM on the host comes out: {"failure": "out of space"}, {"bridge": "br1"}, {"mac": "00:16:3e:00:00:01"}`,
			direct(s.putNext),
		},
		{
			"POST /_sim/lxd", `make a VM behind MAAS's back: {"host": "lxd-1", "name": "vm", "cores": 1, "memory": 1024}`,
			direct(func(_ *http.Request, i Instance) error { return s.AddInstance(i) }),
		},
		{"DELETE /_sim/lxd/{host}/{project}/{vm}", "remove a VM behind MAAS's back", direct(func(r *http.Request, _ struct{}) error {
			return s.RemoveInstance(r.PathValue("host"), r.PathValue("project"), r.PathValue("vm"))
		})},
		{"POST /_sim/lxd/stop", "stop every VM behind MAAS's back", do(s.StopInstances)},
		{"PUT /_sim/racks/offline", "leave MAAS without a rack controller", do(func() { s.Disconnect(true) })},
		{"DELETE /_sim/racks/offline", "bring the rack controllers back", do(func() { s.Disconnect(false) })},
		{"PUT /_sim/power/muted", "do not report to MAAS how power commands end", do(func() { s.MutePower(true) })},
		{"DELETE /_sim/power/muted", "report it again", do(func() { s.MutePower(false) })},
		{"PUT /_sim/holds/{place}/{name}", "hold the next call at a place about a VM host or a machine (* for any)", direct(func(r *http.Request, _ struct{}) error {
			return s.checkedHold(r.PathValue("place"), r.PathValue("name"))
		})},
		{"GET /_sim/holds/{place}/{name}", "wait until a call is held", direct(func(r *http.Request, _ struct{}) error {
			return s.AwaitHeld(r.Context(), r.PathValue("place"), r.PathValue("name"))
		})},
		{"DELETE /_sim/holds/{place}/{name}", "let it go on", direct(func(r *http.Request, _ struct{}) error {
			return s.LetGo(r.PathValue("place"), r.PathValue("name"))
		})},
	}
}

// putNext takes how the next VM of a host comes out: not at all, or with another NIC.
func (s *Sim) putNext(r *http.Request, next struct{ Failure, Bridge, MAC string }) error {
	host := r.PathValue("host")
	switch attached := next.Bridge != "" || next.MAC != ""; {
	case next.Failure != "" && attached:
		return errors.New("the next VM either fails or has a NIC")
	case next.Failure != "":
		return s.FailNext(host, next.Failure)
	case attached:
		return s.AttachNext(host, next.Bridge, next.MAC)
	}
	return errors.New("want a failure, a bridge or a mac")
}
