package maas

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/capmaas/capmaas/services/maassim"
)

// Life is what MAAS itself took to make a machine.
type Life struct {
	// Making is from the beginning to the end of the requests that compose and allocate it.
	Making time.Duration
	// DeployBegan is when the request to deploy it came, Deployed when MAAS called it so; zero before.
	DeployBegan, Deployed time.Time
}

// Own is the time that MAAS alone takes for the machine; it is false while it is not Deployed.
func (l Life) Own() (time.Duration, bool) {
	return l.Making + l.Deployed.Sub(l.DeployBegan), !l.DeployBegan.IsZero() && !l.Deployed.IsZero()
}

// Meter stands before a simulator and notes what it takes for each machine.
type Meter struct {
	sim *maassim.Sim
	now func() time.Time

	mu    sync.Mutex
	lives map[string]*Life // by system id, of the deployment that is the machine's last one
	lists map[string]int   // by what is asked
}

// NewMeter stands before a simulator.
func NewMeter(sim *maassim.Sim, now func() time.Time) *Meter {
	return &Meter{sim: sim, now: now, lives: make(map[string]*Life), lists: make(map[string]int)}
}

// ServeHTTP lets MAAS answer.
func (m *Meter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := m.now()
	switch r.URL.Query().Get("op") {
	case "compose", "allocate":
		answer := &copied{ResponseWriter: w}
		m.sim.ServeHTTP(answer, r)
		m.made(answer.body.Bytes(), r.URL.Query().Get("op") == "compose", began)
	case "deploy":
		m.change(systemID(r.URL.Path), func(l *Life) { l.DeployBegan, l.Deployed = began, time.Time{} })
		m.sim.ServeHTTP(w, r)
	default:
		m.list(r)
		m.sim.ServeHTTP(w, r)
	}
}

// list counts a list of machines by the names of its filters, which tell who asks for what.
func (m *Meter) list(r *http.Request) {
	if r.Method != http.MethodGet || !strings.HasSuffix(strings.TrimSuffix(r.URL.Path, "/"), "/machines") {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lists[strings.Join(slices.Sorted(maps.Keys(r.URL.Query())), " ")]++
}

// Lists are how many lists of machines were asked for, by the names of their filters.
func (m *Meter) Lists() map[string]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.lists)
}

// made adds the time of a request whose answer names the machine. A machine that is composed is another one; so is one that is
// allocated after it was deployed.
func (m *Meter) made(answer []byte, composed bool, began time.Time) {
	var machine struct {
		SystemID string `json:"system_id"`
	}
	if json.Unmarshal(answer, &machine) != nil || machine.SystemID == "" {
		return // it was refused
	}
	took := m.now().Sub(began)
	m.change(machine.SystemID, func(l *Life) {
		if composed || !l.DeployBegan.IsZero() {
			*l = Life{}
		}
		l.Making += took
	})
}

// Deployed notes that MAAS calls a machine Deployed.
func (m *Meter) Deployed(systemID string) {
	at := m.now()
	m.change(systemID, func(l *Life) {
		if l.Deployed.IsZero() {
			l.Deployed = at
		}
	})
}

// Life is what was noted of a machine.
func (m *Meter) Life(systemID string) (Life, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.lives[systemID]
	if l == nil {
		return Life{}, false
	}
	return *l, true
}

func (m *Meter) change(systemID string, how func(*Life)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.lives[systemID] == nil {
		m.lives[systemID] = &Life{}
	}
	how(m.lives[systemID])
}

// systemID is the one in the path of a machine.
func systemID(path string) string {
	_, rest, _ := strings.Cut(path, "/machines/")
	id, _, _ := strings.Cut(rest, "/")
	return id
}

// copied keeps a copy of an answer.
type copied struct {
	http.ResponseWriter

	body bytes.Buffer
}

func (c *copied) Write(p []byte) (int, error) {
	c.body.Write(p)
	return c.ResponseWriter.Write(p)
}

// Unwrap lets the simulator reach the connection.
func (c *copied) Unwrap() http.ResponseWriter { return c.ResponseWriter }
