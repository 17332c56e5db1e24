package faults

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"sync/atomic"

	"github.com/capmaas/capmaas/services/maassim"
	"github.com/capmaas/capmaas/test/stack"
)

// maasGate is MAAS as one process of the service sees it, until that process dies. A request that MAAS has begun goes on.
type maasGate struct {
	sim        *maassim.Sim
	operations stack.Operations
	// cross is asked at each boundary whether the service dies there; it then has already called cut.
	cross func(operation string, m moment) bool

	server *httptest.Server
	dead   atomic.Bool
}

func newMAASGate(sim *maassim.Sim, names stack.Operations, cross func(string, moment) bool) *maasGate {
	g := &maasGate{sim: sim, operations: names, cross: cross}
	g.server = httptest.NewServer(g)
	return g
}

func (g *maasGate) url() string { return g.server.URL + "/MAAS" }

// ServeHTTP lets MAAS answer.
func (g *maasGate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	operation := g.asked(r)
	if g.dead.Load() || g.cross(operation, beforeSend) {
		panic(http.ErrAbortHandler)
	}
	g.sim.ServeHTTP(&gatedAnswer{ResponseWriter: w, gate: g, operation: operation}, r)
}

// purposeMark stands between the name of an operation and what it is asked for.
const purposeMark = " for "

// asked names what a request asks for; empty where it is no operation. What MAAS has one name for and the service asks for
// different purposes are boundaries of their own.
func (g *maasGate) asked(r *http.Request) string {
	operation := g.operations.Of(r)
	switch operation {
	case "machines.allocate":
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return operation // MAAS is going to fail of it too
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		if form, err := url.ParseQuery(string(body)); err == nil && form.Has("system_id") {
			return operation + purposeMark + "a claim"
		}
	case "machines.list":
		for _, name := range []string{"hostname", "agent_name"} {
			if r.URL.Query().Has(name) {
				return operation + purposeMark + name
			}
		}
	}
	return operation
}

// cut takes MAAS away.
func (g *maasGate) cut() {
	g.dead.Store(true)
	go g.server.CloseClientConnections()
}

// close waits for what is under way.
func (g *maasGate) close() { g.server.Close() }

// gatedAnswer is the way back: when its first byte is written the request has had its effect.
type gatedAnswer struct {
	http.ResponseWriter
	gate      *maasGate
	operation string
	once      sync.Once
}

func (a *gatedAnswer) pass() {
	a.once.Do(func() {
		if a.gate.dead.Load() || a.gate.cross(a.operation, afterEffect) {
			panic(http.ErrAbortHandler)
		}
	})
}

// WriteHeader is a boundary.
func (a *gatedAnswer) WriteHeader(status int) {
	a.pass()
	a.ResponseWriter.WriteHeader(status)
}

// Write is one where no header was written.
func (a *gatedAnswer) Write(p []byte) (int, error) {
	a.pass()
	return a.ResponseWriter.Write(p)
}

// Unwrap lets the simulator reach the connection.
func (a *gatedAnswer) Unwrap() http.ResponseWriter { return a.ResponseWriter }
