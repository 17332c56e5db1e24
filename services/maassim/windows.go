package maassim

import (
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/capmaas/capmaas/services/maassim/internal/fault"
)

// windows are the composes that a fault holds between LXD, which has the VM, and MAAS, which has not.
type windows struct {
	mu   sync.Mutex
	open int
	end  chan struct{} // closed when those that are open are released
}

func (w *windows) enter() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.end == nil {
		w.end = make(chan struct{})
	}
	w.open++
	return w.end
}

func (w *windows) leave() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open--
}

func (w *windows) release() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.end != nil {
		close(w.end)
		w.end = nil
	}
}

func (w *windows) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.open
}

// OpenWindows returns how many composes are held by EffectWindow: LXD has their VMs and MAAS has not.
func (s *Sim) OpenWindows() int { return s.windows.count() }

// ReleaseWindows lets the composes go on that EffectWindow holds.
func (s *Sim) ReleaseWindows() { s.windows.release() }

// window holds a compose for a while, or until it is released when d is 0.
func (s *Sim) window(d time.Duration) {
	end := s.windows.enter()
	defer s.windows.leave()
	var expired <-chan struct{}
	if d > 0 {
		var stop func()
		expired, stop = s.timer(d)
		defer stop()
	}
	select {
	case <-end:
	case <-expired:
	case <-s.done:
	}
}

// disturb does to the world what the faults of a request say, until the request ends.
func (s *Sim) disturb(about fault.Request, faults []fault.Fault) func() {
	var restore []func()
	for _, host := range about.Hosts {
		if slices.ContainsFunc(faults, func(f fault.Fault) bool { return f.Effect == fault.HostOffline && f.Concerns(host) }) {
			restore = append(restore, s.lxd.Interrupt(host))
		}
	}
	return func() {
		for _, end := range restore {
			end()
		}
	}
}

// FlapHost makes LXD on a host reachable for up, unreachable for down, and so on, in simulated time from now; StopFlapping ends it. The
// host's own machine stays as it is. It fails when there is no such host, or when a duration is not positive.
func (s *Sim) FlapHost(name string, up, down time.Duration) error {
	if up <= 0 || down <= 0 {
		return errors.New("a host flaps with two durations above 0")
	}
	began := s.now()
	return s.lxd.Flap(name, func() bool { return s.now().Sub(began)%(up+down) >= up })
}

// StopFlapping leaves a host reachable. It fails when there is no such host.
func (s *Sim) StopFlapping(name string) error { return s.lxd.Flap(name, nil) }
