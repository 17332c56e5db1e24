package maassim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

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

// Hold makes the next call wait that gets to the place on behalf of the host or machine, until LetGo or Close. Later calls pass while it waits.
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
func (s *Sim) FailNext(host, words string) error {
	if !s.lxd.FailNext(host, words) {
		return fmt.Errorf("no LXD host %q", host)
	}
	return nil
}

// AttachNext makes the first NIC of the next VM on a host hang on this bridge, which MAAS need not know, or have this MAC address.
func (s *Sim) AttachNext(host, bridge, mac string) error {
	if !s.lxd.AttachNext(host, lxd.NIC{Parent: bridge, MAC: mac}) {
		return fmt.Errorf("no LXD host %q", host)
	}
	return nil
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
func (s *Sim) gate(place, name string) { s.gates.Pass(s.done, place, name) }

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

// stageRoutes are the control endpoint's stage directions, which controlPaths lists. Bodies are JSON and optional; answers are 204, or 400
// with the reason in plain text. Places to hold calls at are the operations (machines.deploy), lxd.created, lxd.listed,
// lxd.deleting and deploy.read.
func (s *Sim) stageRoutes(mux *http.ServeMux) {
	mux.HandleFunc("POST /_sim/machines/{name}/finish", direct(func(r *http.Request, end Ending) error {
		return s.Finish(r.PathValue("name"), end)
	}))
	mux.HandleFunc("POST /_sim/machines", direct(func(_ *http.Request, c MetalConfig) error { return s.AddMetal(c) }))
	mux.HandleFunc("POST /_sim/subnets", direct(func(_ *http.Request, c SubnetConfig) error { return s.AddSubnet(c) }))
	mux.HandleFunc("PUT /_sim/hosts/{name}", direct(func(r *http.Request, c HostConfig) error { return s.Rebuild(r.PathValue("name"), c) }))
	mux.HandleFunc("PUT /_sim/hosts/{name}/next", direct(func(r *http.Request, next struct{ Failure, Bridge, MAC string }) error {
		if next.Failure != "" {
			return s.FailNext(r.PathValue("name"), next.Failure)
		}
		return s.AttachNext(r.PathValue("name"), next.Bridge, next.MAC)
	}))
	mux.HandleFunc("POST /_sim/lxd/stop", direct(func(*http.Request, struct{}) error { s.StopInstances(); return nil }))
	mux.HandleFunc("POST /_sim/lxd", direct(func(_ *http.Request, i Instance) error { return s.AddInstance(i) }))
	mux.HandleFunc("DELETE /_sim/lxd/{host}/{project}/{name}", direct(func(r *http.Request, _ struct{}) error {
		return s.RemoveInstance(r.PathValue("host"), r.PathValue("project"), r.PathValue("name"))
	}))
	mux.HandleFunc("PUT /_sim/racks/offline", direct(func(*http.Request, struct{}) error { s.Disconnect(true); return nil }))
	mux.HandleFunc("DELETE /_sim/racks/offline", direct(func(*http.Request, struct{}) error { s.Disconnect(false); return nil }))
	mux.HandleFunc("PUT /_sim/power/muted", direct(func(*http.Request, struct{}) error { s.MutePower(true); return nil }))
	mux.HandleFunc("DELETE /_sim/power/muted", direct(func(*http.Request, struct{}) error { s.MutePower(false); return nil }))
	mux.HandleFunc("PUT /_sim/holds/{place}/{name}", direct(func(r *http.Request, _ struct{}) error {
		s.Hold(r.PathValue("place"), r.PathValue("name"))
		return nil
	}))
	mux.HandleFunc("GET /_sim/holds/{place}/{name}", direct(func(r *http.Request, _ struct{}) error {
		return s.AwaitHeld(r.Context(), r.PathValue("place"), r.PathValue("name"))
	}))
	mux.HandleFunc("DELETE /_sim/holds/{place}/{name}", direct(func(r *http.Request, _ struct{}) error {
		return s.LetGo(r.PathValue("place"), r.PathValue("name"))
	}))
}

// direct serves a direction with an optional JSON body: 204 when it was followed, 400 with the reason when not.
func direct[T any](follow func(*http.Request, T) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var what T
		dec := json.NewDecoder(r.Body)
		dec.DisallowUnknownFields()
		err := dec.Decode(&what)
		if err == nil || errors.Is(err, io.EOF) {
			err = follow(r, what)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}
}
