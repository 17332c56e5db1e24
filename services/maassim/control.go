package maassim

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/capmaas/capmaas/services/maassim/internal/fault"
)

// controlHandler serves the simulator's own endpoint, to loopback alone:
//
//	GET    /_sim/                       this list
//	GET    /_sim/lxd                    the instances in LXD
//	GET    /_sim/machines               what MAAS believes
//	GET    /_sim/dns                    the DNS records
//	GET    /_sim/operations             the operations, with the names by which faults and counts know them
//	GET    /_sim/presets                the names of ready-made refusals for faults
//	GET    /_sim/requests               calls by operation; DELETE starts anew
//	GET    /_sim/load                   what is being served and waits, and the time of each operation; DELETE starts anew
//	GET    /_sim/faults                 the fault plan; POST adds a fault or a list of them, DELETE clears it
//	GET    /_sim/windows                how many composes a fault holds between LXD and MAAS; DELETE lets them go on
//	PUT    /_sim/hosts/{name}/offline   makes a host unreachable; DELETE brings it back
//	PUT    /_sim/hosts/{name}/flapping  {"up": "20s", "down": "5s"} makes a host come and go; DELETE ends it
//
// and the stage directions of stage.go.
func (s *Sim) controlHandler() http.Handler {
	mux := http.NewServeMux()
	show := func(pattern string, value func() any) {
		mux.HandleFunc("GET "+pattern, func(w http.ResponseWriter, _ *http.Request) { reply(w, value()) })
	}
	do := func(pattern string, act func()) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, _ *http.Request) {
			act()
			w.WriteHeader(http.StatusNoContent)
		})
	}
	show("/_sim/{$}", func() any { return controlPaths })
	show("/_sim/lxd", func() any { return s.LXD() })
	show("/_sim/machines", func() any { return s.Machines() })
	show("/_sim/dns", func() any { return s.DNSRecords() })
	show("/_sim/operations", func() any { return s.Catalogue() })
	show("/_sim/presets", func() any { return FaultPresets() })
	show("/_sim/requests", func() any { return s.Requests() })
	show("/_sim/load", func() any { return s.Load() })
	show("/_sim/faults", func() any { return s.Faults() })
	show("/_sim/windows", func() any { return map[string]int{"open": s.OpenWindows()} })
	do("DELETE /_sim/requests", s.ResetRequests)
	do("DELETE /_sim/load", s.ResetLoad)
	do("DELETE /_sim/faults", s.ClearFaults)
	do("DELETE /_sim/windows", s.ReleaseWindows)
	mux.HandleFunc("POST /_sim/faults", s.postFaults)
	host := func(pattern string, act func(name string, r *http.Request) error) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			err := act(r.PathValue("name"), r)
			switch {
			case errors.Is(err, errNoHost):
				http.Error(w, err.Error(), http.StatusNotFound)
			case err != nil:
				http.Error(w, err.Error(), http.StatusBadRequest)
			default:
				w.WriteHeader(http.StatusNoContent)
			}
		})
	}
	host("PUT /_sim/hosts/{name}/offline", func(name string, _ *http.Request) error { return s.SetHostOffline(name, true) })
	host("DELETE /_sim/hosts/{name}/offline", func(name string, _ *http.Request) error { return s.SetHostOffline(name, false) })
	host("PUT /_sim/hosts/{name}/flapping", s.putFlapping)
	host("DELETE /_sim/hosts/{name}/flapping", func(name string, _ *http.Request) error { return s.StopFlapping(name) })
	s.stageRoutes(mux)
	return loopbackOnly(mux)
}

// controlPaths is what the root of the control endpoint shows.
var controlPaths = map[string]string{
	"GET /_sim/lxd":                     "the instances in LXD",
	"GET /_sim/machines":                "what MAAS believes",
	"GET /_sim/dns":                     "the DNS records",
	"GET /_sim/operations":              "the operations, with the names by which faults and counts know them",
	"GET /_sim/presets":                 "the names of ready-made refusals for faults",
	"GET|DELETE /_sim/requests":         "calls by operation",
	"GET|DELETE /_sim/load":             "what is being served and waits, and the time of each operation",
	"GET|POST|DELETE /_sim/faults":      "the fault plan",
	"GET|DELETE /_sim/windows":          "composes held between LXD and MAAS",
	"PUT|DELETE /_sim/hosts/X/offline":  "make host X unreachable",
	"PUT|DELETE /_sim/hosts/X/flapping": `make host X come and go: {"up": "20s", "down": "5s"}`,

	"POST /_sim/machines/X/finish":   `end what is under way on X: {}, {"failed": true}, {"byHand": true, "status": "ready", "power": "on"}`,
	"POST /_sim/machines":            `add bare metal: {"name": "metal-9", "cores": 8, "memoryMiB": 16384, "zone": "az1"}`,
	"POST /_sim/subnets":             `add a subnet: {"name": "data", "cidr": "10.30.0.0/24", "fabric": "fabric-data"}`,
	"PUT /_sim/hosts/X":              `change cores, memory or bridges of X: {"cores": 64, "memoryMiB": 262144}`,
	"PUT /_sim/hosts/X/next":         `how the next VM on X comes out: {"failure": "out of space"}, {"bridge": "br1"}, {"mac": "00:16:3e:00:00:01"}`,
	"PUT|DELETE /_sim/racks/offline": "leave MAAS without a rack controller",
	"PUT|DELETE /_sim/power/muted":   "do not report to MAAS how power commands end",
	"POST /_sim/lxd":                 `make a VM behind MAAS's back: {"host": "lxd-1", "name": "vm", "cores": 1, "memory": 1024}`,
	"DELETE /_sim/lxd/X/PROJECT/VM":  "remove a VM behind MAAS's back",
	"POST /_sim/lxd/stop":            "stop every VM behind MAAS's back",
	"PUT|GET|DELETE /_sim/holds/P/X": "hold the next call at place P about host or machine X (* for any), wait until one is held, let it go on",
}

// putFlapping reads how long the host is up and down in turn.
func (s *Sim) putFlapping(name string, r *http.Request) error {
	var body struct{ Up, Down string }
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		return fmt.Errorf("read the durations: %w", err)
	}
	up, err := time.ParseDuration(body.Up)
	if err != nil {
		return fmt.Errorf("up: %w", err)
	}
	down, err := time.ParseDuration(body.Down)
	if err != nil {
		return fmt.Errorf("down: %w", err)
	}
	return s.FlapHost(name, up, down)
}

func loopbackOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.RemoteAddr)
		if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
			http.Error(w, "the control endpoint serves loopback alone", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// postFaults takes one fault or a list of them.
func (s *Sim) postFaults(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	faults, err := fault.ParseAll(raw)
	if err == nil {
		err = s.AddFaults(faults...)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	reply(w, s.Faults())
}

func reply(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	if err := enc.Encode(value); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}
