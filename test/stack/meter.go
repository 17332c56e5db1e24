package stack

import (
	"io"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/capmaas/capmaas/services/maassim"
)

// Traffic is what requests of one operation were and weighed.
type Traffic struct {
	// Requests is how many were sent, answered or not.
	Requests int
	// Bytes are those of heads and bodies, both ways.
	Bytes int
}

// Request is one request that reached MAAS, or would have.
type Request struct {
	// Operation is the simulator's name for it; empty where it is none.
	Operation string
	// Began and Ended are when it came and when it was answered.
	Began, Ended time.Time
	// Refused says that MAAS was down.
	Refused bool
}

// Meter is a MAAS that counts, notes every request, and can be down: it then breaks every connection.
type Meter struct {
	sim        *maassim.Sim
	operations Operations
	clock      func() time.Time

	mu      sync.Mutex
	down    bool
	traffic map[string]Traffic
	log     []Request
}

// NewMeter stands before a simulator.
func NewMeter(sim *maassim.Sim, clock func() time.Time) *Meter {
	return &Meter{sim: sim, operations: sim.Catalogue(), clock: clock, traffic: map[string]Traffic{}}
}

// Down takes MAAS away or brings it back.
func (m *Meter) Down(down bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.down = down
}

// Traffic gives what has been counted so far, by operation.
func (m *Meter) Traffic() map[string]Traffic {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.traffic)
}

// Log gives the requests that have ended, in the order of their ends.
func (m *Meter) Log() []Request {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.log)
}

// ServeHTTP lets MAAS answer.
func (m *Meter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	request := Request{Operation: m.operations.Of(r), Began: m.clock()}
	m.mu.Lock()
	request.Refused = m.down
	m.mu.Unlock()
	body := &countedBody{ReadCloser: r.Body}
	r.Body = body
	answer := &countedAnswer{ResponseWriter: w}
	defer func() {
		request.Ended = m.clock()
		m.note(request, weighHead(r.Header)+len(r.Method)+len(r.RequestURI)+body.read+weighHead(answer.Header())+answer.written)
	}()
	if request.Refused {
		panic(http.ErrAbortHandler)
	}
	m.sim.ServeHTTP(answer, r)
}

func (m *Meter) note(request Request, bytes int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.traffic[request.Operation]
	t.Requests++
	t.Bytes += bytes
	m.traffic[request.Operation] = t
	m.log = append(m.log, request)
}

// weighHead is what the lines of a head take.
func weighHead(head http.Header) int {
	bytes := 0
	for name, values := range head {
		for _, value := range values {
			bytes += len(name) + len(": ") + len(value) + len("\r\n")
		}
	}
	return bytes
}

type countedBody struct {
	io.ReadCloser

	read int
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.read += n
	return n, err //nolint:wrapcheck // io.EOF must stay what it is
}

type countedAnswer struct {
	http.ResponseWriter

	written int
}

func (a *countedAnswer) Write(p []byte) (int, error) {
	n, err := a.ResponseWriter.Write(p)
	a.written += n
	return n, err
}

// Unwrap lets the simulator reach the connection.
func (a *countedAnswer) Unwrap() http.ResponseWriter { return a.ResponseWriter }
