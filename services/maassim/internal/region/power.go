package region

import (
	"errors"
	"net/http"

	"github.com/capmaas/capmaas/services/maassim/internal/fault"
	"github.com/capmaas/capmaas/services/maassim/internal/lxd"
	"github.com/capmaas/capmaas/services/maassim/internal/rest"
)

// powerOn also deploys an Allocated machine, with the default image, and wipes the stored user data unless it is refused (recordings
// 561, 562).
func (r *Region) powerOn(q *rest.Request) (any, error) {
	defer r.begin()()
	m, err := r.edited(q)
	if err != nil {
		return nil, err
	}
	if m.owner == nil {
		return nil, rest.Text(http.StatusConflict, "Can't start node: it hasn't been allocated.")
	}
	if m.status == statusAllocated {
		if err := r.checkDeployable(m); err != nil {
			return nil, err
		}
		fresh, err := r.claimFresh(m)
		if err != nil {
			return nil, err
		}
		m.userData = sentUserData(q)
		return r.startDeploying(m, fresh, q.Faults)
	}
	answer := r.machineJSON(m)
	m.userData = sentUserData(q)
	if err := r.power(m, true, q.Faults); err != nil {
		return nil, powerFailed(err)
	}
	return answer, nil
}

// sentUserData are the user data of a request exactly as they came (recording 131), or nil.
func sentUserData(q *rest.Request) *string {
	if !q.Form.Has("user_data") {
		return nil
	}
	data := q.Form.Get("user_data")
	return &data
}

// powerOff answers null for a machine that MAAS has no way to switch. LXD takes soft for hard.
func (r *Region) powerOff(q *rest.Request) (any, error) {
	defer r.begin()()
	m, err := r.edited(q)
	if err != nil {
		return nil, err
	}
	if mode := q.Form.Get("stop_mode"); mode != "" && mode != "hard" && mode != "soft" {
		return nil, rest.Text(http.StatusBadRequest, "Invalid stop_mode: %s", mode)
	}
	if !m.switchable() {
		return nil, nil //nolint:nilnil // JSON null
	}
	answer := r.machineJSON(m)
	if err := r.power(m, false, q.Faults); err != nil {
		return nil, powerFailed(err)
	}
	return answer, nil
}

// switchable reports whether MAAS can control the power of a machine.
func (m *machine) switchable() bool { return m.powerType != "" && m.powerType != "manual" }

// queryPower asks LXD, and fails when it cannot be reached (recording 533).
func (r *Region) queryPower(q *rest.Request) (any, error) {
	defer r.begin()()
	m, err := r.machineOf(q)
	if err != nil {
		return nil, err
	}
	if m.host == nil {
		return object{"state": m.powerState()}, nil
	}
	running, err := r.lxd.Running(m.host.server, m.host.project, m.instance)
	if err == lxd.ErrNotFound { //nolint:errorlint // package lxd returns it unwrapped
		return nil, rest.Text(http.StatusInternalServerError, "Pod: LXD VM %s not found.", m.instance)
	}
	if err != nil {
		return nil, powerFailed(err)
	}
	r.machines.Touch(m)
	m.powerOn = running
	return object{"state": m.powerState()}, nil
}

// power switches a machine on or off, in LXD too. It reports what LXD answered; a fault may let it fail like a host that cannot be reached,
// with nothing done.
func (r *Region) power(m *machine, on bool, faults fault.Inside) error {
	if faults.PostCommit {
		return lxd.ErrOffline
	}
	if m.host != nil {
		if err := r.lxd.SetRunning(m.host.server, m.host.project, m.instance, on); err != nil {
			return err
		}
	}
	r.machines.Touch(m)
	if !r.mutedPower {
		m.powerOn = on
	}
	return nil
}

// powerFailed is the answer after MAAS has committed and the rack could not switch the machine.
func powerFailed(err error) error {
	switch {
	case errors.Is(err, lxd.ErrNoRack):
		return noRack()
	case errors.Is(err, lxd.ErrOffline):
		return rest.Text(http.StatusInternalServerError, "Pod: %v", err)
	}
	return rest.Text(http.StatusInternalServerError, "%v", err)
}
