package maassim

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/capmaas/capmaas/services/maassim/internal/fault"
	"github.com/capmaas/capmaas/services/maassim/internal/gate"
	"github.com/capmaas/capmaas/services/maassim/internal/lxd"
	"github.com/capmaas/capmaas/services/maassim/internal/region"
)

// route is one request of the control endpoint: a pattern of http.ServeMux with what it does, in words and in fact.
type route struct {
	pattern, about string
	serve          http.HandlerFunc
}

// controlHandler serves the simulator's own endpoint, to loopback alone; its root lists it. What the path names and there is not is answered 404,
// what is wrong with a body or cannot be done 400, both with the reason in plain text; directions that were followed are answered 204, new faults with
// the plan.
func (s *Sim) controlHandler() http.Handler {
	mux := http.NewServeMux()
	for _, r := range s.controlRoutes() {
		mux.HandleFunc(r.pattern, r.serve)
	}
	mux.HandleFunc("GET /_sim/{$}", show(s.controlPaths))
	return loopbackOnly(mux)
}

// controlPaths is what the root of the control endpoint shows.
func (s *Sim) controlPaths() map[string]string {
	paths := make(map[string]string)
	for _, r := range s.controlRoutes() {
		paths[r.pattern] = r.about
	}
	return paths
}

func (s *Sim) controlRoutes() []route {
	return slices.Concat(s.viewRoutes(), s.faultRoutes(), s.stageRoutes())
}

// viewRoutes show what there is and what was asked.
func (s *Sim) viewRoutes() []route {
	return []route{
		{"GET /_sim/lxd", "the instances in LXD", show(s.LXD)},
		{"GET /_sim/machines", "what MAAS believes of machines", show(s.Machines)},
		{"GET /_sim/dns", "the DNS records", show(s.DNSRecords)},
		{"GET /_sim/operations", "the operations, with the names by which faults and counts know them", show(s.Catalogue)},
		{"GET /_sim/presets", "the names of ready-made refusals for faults", show(FaultPresets)},
		{"GET /_sim/requests", "admitted calls by operation", show(s.Requests)},
		{"DELETE /_sim/requests", "count calls anew", do(s.ResetRequests)},
		{"GET /_sim/load", "what is being served and waits, and the time of each operation", show(s.Load)},
		{"DELETE /_sim/load", "count load anew", do(s.ResetLoad)},
	}
}

// faultRoutes are about what goes wrong.
func (s *Sim) faultRoutes() []route {
	return []route{
		{"GET /_sim/faults", "what is left of the fault plan", show(s.Faults)},
		{"POST /_sim/faults", `add a fault or a list of them: {"operation": "vm-hosts.compose", "preset": "no-rack", "count": 1}`, s.postFaults},
		{"DELETE /_sim/faults", "clear the fault plan", do(s.ClearFaults)},
		{"GET /_sim/windows", "how many composes a fault holds between LXD and MAAS", show(func() any { return map[string]int{"open": s.OpenWindows()} })},
		{"DELETE /_sim/windows", "let them go on", do(s.ReleaseWindows)},
		{"PUT /_sim/hosts/{host}/offline", "make the host unreachable", direct(func(r *http.Request, _ struct{}) error {
			return s.SetHostOffline(r.PathValue("host"), true)
		})},
		{"DELETE /_sim/hosts/{host}/offline", "bring the host back", direct(func(r *http.Request, _ struct{}) error {
			return s.SetHostOffline(r.PathValue("host"), false)
		})},
		{"PUT /_sim/hosts/{host}/flapping", `make the host come and go: {"up": "20s", "down": "5s"}`, direct(s.putFlapping)},
		{"DELETE /_sim/hosts/{host}/flapping", "end that", direct(func(r *http.Request, _ struct{}) error {
			return s.StopFlapping(r.PathValue("host"))
		})},
	}
}

// show serves a value as JSON.
func show[T any](value func() T) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { reply(w, value()) }
}

// do serves what cannot fail.
func do(act func()) http.HandlerFunc {
	return direct(func(*http.Request, struct{}) error {
		act()
		return nil
	})
}

// direct serves a direction with an optional JSON body.
func direct[T any](follow func(*http.Request, T) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var what T
		err := decodeStrictly(r.Body, &what)
		if err == nil || errors.Is(err, io.EOF) {
			err = follow(r, what)
		}
		switch {
		case err == nil:
			w.WriteHeader(http.StatusNoContent)
		case strings.Contains(r.Pattern, "{") && slices.ContainsFunc(unknown, func(one error) bool { return errors.Is(err, one) }):
			http.Error(w, err.Error(), http.StatusNotFound)
		default:
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	}
}

// unknown are the errors about what there is not; where a path has names they are about those.
var unknown = []error{lxd.ErrNoHost, lxd.ErrNotFound, region.ErrNoMachine, gate.ErrNoHold, errNoPlace}

// decodeStrictly reads one JSON value without fields that there are not, and nothing behind it. It fails with io.EOF when there is none.
func decodeStrictly(from io.Reader, into any) error {
	dec := json.NewDecoder(from)
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return err
	}
	return endOf(dec)
}

// endOf fails when something follows the JSON value that was read.
func endOf(dec *json.Decoder) error {
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is something behind the JSON value")
	}
	return nil
}

// putFlapping reads how long the host is up and down in turn.
func (s *Sim) putFlapping(r *http.Request, body struct{ Up, Down string }) error {
	up, err := time.ParseDuration(body.Up)
	if err != nil {
		return fmt.Errorf("up: %w", err)
	}
	down, err := time.ParseDuration(body.Down)
	if err != nil {
		return fmt.Errorf("down: %w", err)
	}
	return s.FlapHost(r.PathValue("host"), up, down)
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
