package lxd

import (
	"errors"
	"fmt"
	"slices"

	"github.com/capmaas/capmaas/services/maassim/internal/known"
)

// ErrNoRack is the failure of whoever has to go through a rack controller while none is connected.
var ErrNoRack = errors.New("Unable to connect to any rack controller ; no connections available.") //nolint:staticcheck,revive // MAAS's own words

// stage is what is to happen on a host at the next occasion.
type stage struct {
	failure error
	nic     *NIC
}

// Disconnect takes every host out of reach, as when no rack controller is connected, or brings all back that are not offline.
func (w *World) Disconnect(disconnected bool) {
	defer w.begin()()
	w.disconnected = disconnected
}

// direct follows a stage direction about a host, or fails with ErrNoHost.
func (w *World) direct(name string, follow func(*host)) error {
	defer w.begin()()
	h, ok := w.hosts[name]
	if !ok {
		return fmt.Errorf("%w %q: there are %s", ErrNoHost, name, known.List(w.order))
	}
	follow(h)
	return nil
}

// Check says why LXD would not make an instance wherever it can be reached: there is no such host, or it would have no such instance.
func (w *World) Check(inst Instance) (err error) {
	if noHost := w.direct(inst.Host, func(h *host) { err = h.check(inst) }); noHost != nil {
		return noHost
	}
	return err
}

func (h *host) check(inst Instance) error {
	if inst.Cores < 0 || inst.MemoryMiB < 0 {
		return fmt.Errorf("instance %q: cores and memory cannot be negative", inst.Name)
	}
	for _, d := range inst.Disks {
		pools := h.poolNames()
		if d.Size < 0 || !slices.Contains(pools, d.Pool) {
			return fmt.Errorf("instance %q: a disk of %d bytes on storage pool %q: the host has the pools %s", inst.Name, d.Size, d.Pool, known.List(pools))
		}
	}
	return ValidName(inst.Name)
}

func (h *host) poolNames() []string {
	names := make([]string, 0, len(h.pools))
	for _, p := range h.pools {
		names = append(names, p.Name)
	}
	return names
}

// FailNext makes the next instance on a host fail with these words. It fails with ErrNoHost.
func (w *World) FailNext(hostName, words string) error {
	return w.direct(hostName, func(h *host) { h.next.failure = errors.New(words) })
}

// AttachNext makes the first interface of the next instance on a host hang on this bridge or have this MAC address; what is empty is left as
// it would be. It fails with ErrNoHost.
func (w *World) AttachNext(hostName string, nic NIC) error {
	return w.direct(hostName, func(h *host) { h.next.nic = &nic })
}

// Attachment returns what AttachNext said of the next instance on a host, and whether it said anything. It is said once.
func (w *World) Attachment(hostName string) (NIC, bool) {
	defer w.begin()()
	h, ok := w.hosts[hostName]
	if !ok || h.next.nic == nil {
		return NIC{}, false
	}
	nic := *h.next.nic
	h.next.nic = nil
	return nic, true
}

// StopAll stops every instance of every host.
func (w *World) StopAll() {
	defer w.begin()()
	for _, h := range w.hosts {
		for _, i := range h.instances {
			i.Running = false
		}
	}
}
