package lxd

import "errors"

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

// FailNext makes the next instance on a host fail with these words. It reports whether there is such a host.
func (w *World) FailNext(hostName, words string) bool {
	defer w.begin()()
	h, ok := w.hosts[hostName]
	if ok {
		h.next.failure = errors.New(words)
	}
	return ok
}

// AttachNext makes the first interface of the next instance on a host hang on this bridge or have this MAC address; what is empty is left as
// it would be. It reports whether there is such a host.
func (w *World) AttachNext(hostName string, nic NIC) bool {
	defer w.begin()()
	h, ok := w.hosts[hostName]
	if ok {
		h.next.nic = &nic
	}
	return ok
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
