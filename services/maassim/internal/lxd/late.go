package lxd

import "slices"

// arrival is an instance that LXD goes on to make after whoever asked for it has given up.
type arrival struct {
	Instance
	due func() bool
}

// begin takes the lock, lets those instances arrive that are due, and returns the function that gives the lock back.
func (w *World) begin() func() {
	w.mu.Lock()
	w.late = slices.DeleteFunc(w.late, func(a arrival) bool {
		if !a.due() {
			return false
		}
		if h := w.hosts[a.Host]; !h.has(a.Instance) { // else somebody made one of this name meanwhile
			h.add(a.Instance)
		}
		return true
	})
	return w.mu.Unlock
}

// CreateLater makes an instance as soon as due says so, even on a host that cannot be reached then: LXD needs nobody to end what it has begun. due
// is called under the world's lock. What Create refuses, CreateLater refuses at once.
func (w *World) CreateLater(inst Instance, due func() bool) error {
	defer w.begin()()
	if _, err := w.accept(inst); err != nil {
		return err
	}
	w.late = append(w.late, arrival{inst, due})
	return nil
}
