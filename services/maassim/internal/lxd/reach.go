package lxd

import "slices"

func (h *host) reachable() bool {
	return !h.offline && h.interrupt == 0 && (h.flapping == nil || !h.flapping())
}

// Interrupt makes a host unreachable until the function that it returns is called. Hosts that are not there are left alone.
func (w *World) Interrupt(name string) (restore func()) {
	defer w.begin()()
	h, ok := w.hosts[name]
	if !ok {
		return func() {}
	}
	h.interrupt++
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		h.interrupt--
	}
}

// Flap lets a host come and go: it cannot be reached while down says so. nil ends it. It fails with ErrNoHost.
func (w *World) Flap(name string, down func() bool) error {
	return w.direct(name, func(h *host) { h.flapping = down })
}

// Hosts returns the names of all hosts, in the order in which they were added.
func (w *World) Hosts() []string {
	defer w.begin()()
	return slices.Clone(w.order)
}
