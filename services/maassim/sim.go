package maassim

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/capmaas/capmaas/services/maassim/internal/fault"
	"github.com/capmaas/capmaas/services/maassim/internal/gate"
	"github.com/capmaas/capmaas/services/maassim/internal/load"
	"github.com/capmaas/capmaas/services/maassim/internal/lxd"
	"github.com/capmaas/capmaas/services/maassim/internal/region"
	"github.com/capmaas/capmaas/services/maassim/internal/rest"
)

// Sim is a simulated MAAS. It is an http.Handler that serves the API below /MAAS/ and a control endpoint below /_sim/, and is safe for
// concurrent use.
type Sim struct {
	cfg     Config
	users   []string
	lxd     *lxd.World
	region  *region.Region
	api     *rest.Server
	control http.Handler
	plan    fault.Plan
	counts  rest.Counts
	windows windows
	desk    *load.Desk
	began   time.Time
	gates   gate.Gates
	closing sync.Once
	done    chan struct{}
}

// New returns a simulated MAAS. It fails when the configuration contradicts itself, for example when a host names a zone that is not there.
func New(cfg Config) (*Sim, error) {
	cfg = cfg.withDefaults()
	if cfg.Speed < 0 || cfg.Workers < 0 || cfg.Durations.Spread < 0 || cfg.Durations.Spread >= 1 {
		return nil, errors.New("speed and workers cannot be negative, and the spread of durations must be from 0 to below 1")
	}
	users, keys, err := cfg.people()
	if err != nil {
		return nil, err
	}
	s := &Sim{cfg: cfg, lxd: lxd.NewWorld(), began: cfg.Clock(), done: make(chan struct{})}
	for _, u := range users {
		s.users = append(s.users, u.Name)
	}
	s.desk = load.NewDesk(placesPerWorker*cfg.Workers, s.now, s.done)
	s.region, err = region.New(cfg.region(), region.Deps{Users: users, LXD: s.lxd, Clock: s.now, Wait: s.wait, Gate: s.gate})
	if err != nil {
		return nil, err
	}
	s.api = rest.NewServer(rest.Config{
		Keys: keys, Clock: cfg.AuthClock, Version: cfg.Version, StrictOAuth: s.region.Minor() >= 5, ReportOAuth: s.region.Minor() >= 8,
		Concern: s.region.Concern, Plan: &s.plan, Counts: &s.counts, Wait: s.pause, Disturb: s.disturb, Window: s.window, Serve: s.serve,
	}, s.stopAtPlaces(s.region.Resources()))
	s.plan.Seed(cfg.Seed)
	if err := s.AddFaults(cfg.Faults...); err != nil {
		return nil, err
	}
	s.control = s.controlHandler()
	return s, nil
}

// ServeHTTP serves the API and the control endpoint.
func (s *Sim) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/_sim/") {
		s.control.ServeHTTP(w, r)
		return
	}
	if s.cfg.TLSURL != "" && r.TLS == nil && redirected(r.URL.Path) {
		redirect(w, s.cfg.TLSURL+r.URL.RequestURI())
		return
	}
	s.api.ServeHTTP(w, r)
}

// Close ends the waiting of calls that are under way, so that a server can shut down; they go on at once.
func (s *Sim) Close() { s.closing.Do(func() { close(s.done) }) }

// APIKey returns the key of the administrator, written consumer:token:secret.
func (s *Sim) APIKey() string { return s.cfg.APIKey }

// UserAPIKey returns the key of the plain user "alice".
func (s *Sim) UserAPIKey() string { return s.cfg.UserAPIKey }

// Version returns the version that MAAS says it is.
func (s *Sim) Version() string { return s.cfg.Version }

// LXD returns every instance of every host: the truth, whatever MAAS believes.
func (s *Sim) LXD() []Instance { return s.lxd.Instances() }

// AddInstance makes an instance in LXD behind MAAS's back. It fails when there is no such host, when LXD has or would have no such instance,
// and while LXD cannot be reached.
func (s *Sim) AddInstance(i Instance) error {
	if i.Project == "" {
		i.Project = "maas"
	}
	if err := s.lxd.Check(i); err != nil {
		return err
	}
	return s.lxd.Create(i)
}

// RemoveInstance removes an instance from LXD behind MAAS's back. It fails when there is no such host or instance, and while LXD cannot be
// reached.
func (s *Sim) RemoveInstance(host, project, name string) error {
	if err := s.lxd.Has(host); err != nil {
		return err
	}
	return s.lxd.Delete(host, project, name)
}

// Machines returns what MAAS believes of every machine, VM hosts' own machines included.
func (s *Sim) Machines() []Machine { return s.region.Machines() }

// Machine returns the machine with this hostname or system id, and whether there is one.
func (s *Sim) Machine(name string) (Machine, bool) {
	return s.region.Machine(name)
}

// UserData returns the user data of a machine exactly as they were sent, and whether there are any.
func (s *Sim) UserData(systemID string) (string, bool) { return s.region.UserData(systemID) }

// DNSRecords returns MAAS's dnsresources.
func (s *Sim) DNSRecords() []DNSRecord { return s.region.DNSRecords() }

// Reservations returns the addresses that users have reserved, by hand or by writing them into DNS.
func (s *Sim) Reservations() []string { return s.region.Reservations() }

// Requests returns how many calls of each operation were admitted, by names such as "machines.list" and "vm-hosts.compose". Calls that
// failed authentication are not among them.
func (s *Sim) Requests() map[string]int { return s.counts.All() }

// ResetRequests starts counting anew.
func (s *Sim) ResetRequests() { s.counts.Reset() }

// SetHostOffline makes LXD on a host unreachable, or reachable again, and its machine off or on. It fails when there is no such host.
func (s *Sim) SetHostOffline(name string, offline bool) error {
	if err := s.lxd.SetOffline(name, offline); err != nil {
		return err
	}
	s.region.SetHostPower(name, !offline)
	return nil
}
