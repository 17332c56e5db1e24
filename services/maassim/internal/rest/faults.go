package rest

import (
	"maps"
	"net/http"
	"sync"

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
func (s *Server) run(w http.ResponseWriter, a *Action, req *Request) {
	s.cfg.Counts.add(a.Name)
	faults := s.cfg.Plan.Take(s.cfg.Concern(a.Name, req.Path))
	req.Faults = fault.InsideOf(faults)
	var wrong *fault.Fault // the first fault that replaces the answer
	for i, f := range faults {
		if f.Latency > 0 && f.Effect != fault.Slow {
			s.cfg.Wait(f.Latency)
		}
		if wrong == nil && (f.Status != 0 || f.Reset) {
			wrong = &faults[i]
		}
	}
	if wrong == nil {
		value, err := a.Handle(req)
		write(w, value, err)
		return
	}
	if wrong.After {
		_, _ = a.Handle(req) // the effect stays, its answer is lost
	}
	if wrong.Reset {
		// The server closes the connection without an answer; the client sees it reset or ended.
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", typeText)
	for name, value := range wrong.Header {
		w.Header().Set(name, value)
	}
	w.WriteHeader(wrong.Status)
	_, _ = w.Write([]byte(wrong.Body))
}
