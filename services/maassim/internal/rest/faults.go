package rest

import (
	"maps"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/capmaas/capmaas/services/maassim/internal/fault"
)

// Counts counts requests by operation. The zero value is ready; it is safe for concurrent use.
type Counts struct {
	mu sync.Mutex
	by map[string]int
}

// All returns how often each operation was called.
func (c *Counts) All() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.by)
}

// Reset starts again from zero.
func (c *Counts) Reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.by = nil
}

func (c *Counts) add(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.by == nil {
		c.by = make(map[string]int)
	}
	c.by[name]++
}

// run calls the handler, disturbed by the faults of the plan that match the request.
func (s *Server) run(w http.ResponseWriter, a *Action, req *Request, open bool) {
	s.cfg.Counts.add(a.Name)
	var faults []fault.Fault
	if !s.cfg.Plan.Idle() {
		about := s.cfg.Concern(a.Name, req)
		if req.User != nil {
			about.User = req.User.Name
		}
		faults = s.cfg.Plan.Take(about)
		req.Faults = fault.InsideOf(faults, s.cfg.Window)
		defer s.cfg.Disturb(about, faults)()
	}
	wire := wireOf(faults)
	s.delay(faults, false)
	var out *reply
	if wire.instead == nil || wire.instead.After {
		out = s.handle(a, req, faults)
	}
	s.delay(faults, true)
	if wire.instead == nil {
		if open && out.status < http.StatusBadRequest {
			out.header.Set("Vary", "Authorization")
		}
		s.transmit(w, wire.spoil(out), wire)
		return
	}
	if wire.instead.Reset {
		reset(w)
		return
	}
	s.transmit(w, replacement(wire.instead), wire)
}

// delay passes the latencies that come before the effect, or those after it.
func (s *Server) delay(faults []fault.Fault, after bool) {
	for _, f := range faults {
		if f.DelaysAnswer() && f.After == after {
			s.cfg.Wait(f.Latency)
		}
	}
}

// handle runs the operation and checks the format that the answer is asked for, in this order, as piston does.
func (s *Server) handle(a *Action, req *Request, faults []fault.Fault) *reply {
	for _, f := range faults {
		if f.Effect == fault.ComposeAgain {
			// The database rolls the first run back; LXD keeps what it made in it.
			first := *req
			first.Faults.ComposeLost = true
			_, _ = s.cfg.Serve(a.Name, &first, a.Handle)
		}
	}
	value, err := s.cfg.Serve(a.Name, req, a.Handle)
	out := s.answer(value, err)
	format := req.Query.Get("format")
	if !req.Query.Has("format") || format == "json" || err != nil && !asError(err).Resource {
		return out
	}
	return s.failure(&Error{
		Status: http.StatusBadRequest, ContentType: "text/plain", Resource: true, Body: []byte("Invalid output format specified " + pyRepr(format) + "."),
	})
}

// wire is what the faults of one request do to its answer.
type wire struct {
	instead *fault.Fault // the first that replaces the answer
	mangles []fault.Fault
	trickle time.Duration
	cut     bool
}

func wireOf(faults []fault.Fault) wire {
	var w wire
	for i, f := range faults {
		if w.instead == nil && f.Replaces() {
			w.instead = &faults[i]
		}
		if f.Mangle == fault.Truncated {
			w.cut = true
		} else if f.Mangle != fault.Intact {
			w.mangles = append(w.mangles, f)
		}
		w.trickle = max(w.trickle, f.Trickle)
	}
	return w
}

func (w wire) spoil(out *reply) *reply {
	for _, f := range w.mangles {
		out = mangle(out, f.Mangle, f.Field)
	}
	return out
}

func replacement(f *fault.Fault) *reply {
	out := &reply{status: f.Status, header: http.Header{}, body: []byte(f.Body)}
	for name, value := range f.Header {
		out.header.Set(name, value)
	}
	return out
}

// reset breaks the connection. The client sees a TCP reset, or where that cannot be had an end without an answer.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// pieces is in how many parts a trickling answer comes.
const pieces = 20

// transmit sends the answer, slowly or not to its end when the faults say so.
func (s *Server) transmit(w http.ResponseWriter, out *reply, how wire) {
	if how.trickle == 0 && !how.cut {
		out.send(w)
		return
	}
	body := out.body
	if how.cut {
		body = body[:len(body)/2]
	}
	maps.Copy(w.Header(), out.header)
	w.Header().Set("Content-Length", strconv.Itoa(len(out.body)))
	w.WriteHeader(out.status)
	rc := http.NewResponseController(w)
	size := max(1, (len(body)+pieces-1)/pieces)
	for start := 0; start < len(body); start += size {
		if how.trickle > 0 {
			s.cfg.Wait(how.trickle / pieces)
		}
		if _, err := w.Write(body[start:min(start+size, len(body))]); err != nil {
			return
		}
		_ = rc.Flush()
	}
	if how.cut {
		panic(http.ErrAbortHandler)
	}
}
