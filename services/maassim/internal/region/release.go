package region

import (
	"net/http"
	"slices"
	"strings"

	"github.com/capmaas/capmaas/services/maassim/internal/fault"
	"github.com/capmaas/capmaas/services/maassim/internal/rest"
)

// release gives a machine back. It ends in Ready, or in New when the machine never passed commissioning (recordings 182, 270, 350).
func (r *Region) release(q *rest.Request) (any, error) {
	answer, waits, err := r.releaseOne(q)
	if waits && r.minor >= 5 {
		r.wait(r.cfg.Durations.Power) // 3.4 lets its power monitoring see to it
	}
	return answer, err
}

func (r *Region) releaseOne(q *rest.Request) (answer any, waits bool, err error) {
	defer r.begin()()
	m, err := r.machineOf(q)
	if err != nil {
		return nil, false, err
	}
	if !canEdit(q.User, m) {
		return nil, false, rest.Forbidden()
	}
	if r.minor >= 5 && len(q.Form.All("scripts")) > 0 {
		return nil, false, unsimulated("release scripts")
	}
	if m.status.in(statusReady, statusReleasing) {
		return r.machineJSON(m), false, nil
	}
	if !m.status.in(releasable...) {
		return nil, false, rest.Text(http.StatusConflict, "Machine cannot be released in its current state ('%s').", m.status)
	}
	if err := r.freeHosts(m, q.Form.Bool("force")); err != nil {
		return nil, false, err
	}
	if q.Form.Bool("erase") {
		answer, err = r.startErasing(m, q.Faults)
		return answer, true, err
	}
	on := m.powerOn
	answer, err = r.startReleasing(m, q.Faults)
	return answer, on, err
}

// freeHosts refuses a machine that runs VM hosts, or removes them with their machines when forced.
func (r *Region) freeHosts(m *machine, force bool) error {
	if m.hostOf == nil {
		return nil
	}
	var names []string
	var hosted []*vmHost
	for h := range r.hosts.All() {
		if h.machine == m {
			names, hosted = append(names, h.name), append(hosted, h)
		}
	}
	if !force {
		return rest.Text(http.StatusBadRequest, "The following VM hosts must be removed first: %s", strings.Join(names, ", "))
	}
	for _, h := range hosted {
		for _, vm := range r.machines.onHost.Rows(h) {
			r.removeMachine(vm)
		}
		r.hosts.Remove(h)
		if h.power != nil {
			r.removeAddress(h.power)
		}
	}
	m.hostOf = nil
	return nil
}

// startErasing boots the machine to wipe its disks; the release follows.
func (r *Region) startErasing(m *machine, faults fault.Inside) (any, error) {
	before := m.status
	if err := r.transition(m, statusDiskErasing); err != nil {
		return nil, err
	}
	r.note(m, "INFO", "Disk erasing", "")
	answer := r.machineJSON(m)
	if err := r.power(m, true, faults); err != nil {
		m.set(before)
		return nil, powerFailed(err)
	}
	r.after(r.cfg.Durations.Erase+faults.Slow, m, func() {
		if faults.Fail {
			m.set(statusFailedDiskErasing)
			r.failed(m, "Failed to erase disks.")
			return
		}
		_, _ = r.startReleasing(m, fault.Inside{})
	})
	return answer, nil
}

func (r *Region) startReleasing(m *machine, faults fault.Inside) (any, error) {
	before, wasOn := m.status, m.powerOn
	if err := r.transition(m, statusReleasing); err != nil {
		return nil, err
	}
	r.clearDeployment(m)
	r.note(m, "INFO", "Releasing", "")
	var err error
	if wasOn || faults.PostCommit {
		err = r.power(m, false, faults)
	}
	switch {
	case err != nil && (r.minor >= 5 || faults.PostCommit):
		m.set(before)
		return nil, powerFailed(err)
	case err != nil:
		r.expire(releaseTimeout, m, statusFailedReleasing)
	case !wasOn && faults.Slow == 0 && !faults.Fail && !m.dynamic:
		r.finishRelease(m) // nothing to wait for: the answer shows the end
	case faults.Fail:
		r.after(r.cfg.Durations.Release+faults.Slow, m, func() { r.failRelease(m) })
	default:
		r.expire(releaseTimeout, m, statusFailedReleasing)
		r.after(r.cfg.Durations.Release+faults.Slow, m, func() { r.finishRelease(m) })
	}
	return r.machineJSON(m), nil
}

// clearDeployment takes away at once what a release takes before it is finished.
func (r *Region) clearDeployment(m *machine) {
	m.agent, m.osystem, m.series, m.kernel, m.ephemeral, m.netboot = "", "", "", "", false, true
	m.scripts.installation = 0
	m.hwSync, m.crashDump = false, false
}

func (r *Region) failRelease(m *machine) {
	m.set(statusFailedReleasing)
	r.failed(m, timedOut(statusReleasing, releaseTimeout))
}

// finishRelease ends a release. A machine that allocate composed is deleted, with its VM (recordings 272, 273).
func (r *Region) finishRelease(m *machine) {
	r.freeAuto(m)
	m.owner, m.userData, m.annotations = nil, nil, map[string]string{}
	if m.dynamic && m.host != nil {
		_ = r.lxd.Delete(m.host.server, m.host.project, m.instance) // MAAS only logs a failure
		r.removeMachine(m)
		return
	}
	to := statusNew
	if m.tested {
		to = statusReady
	}
	m.set(to)
	r.note(m, "INFO", "Released", "")
}

// releaseMany releases all or none of the machines.
func (r *Region) releaseMany(q *rest.Request) (any, error) {
	answer, waits, err := r.releaseAll(q)
	if waits && r.minor >= 5 {
		r.wait(r.cfg.Durations.Power)
	}
	return answer, err
}

func (r *Region) releaseAll(q *rest.Request) (answer any, waits bool, err error) {
	defer r.begin()()
	todo, err := r.checkRelease(q)
	if err != nil {
		return nil, false, err
	}
	done := []string{}
	for _, m := range todo {
		waits = waits || m.powerOn
		if _, err := r.startReleasing(m, q.Faults); err != nil {
			return nil, waits, err
		}
		done = append(done, m.systemID)
	}
	return done, waits, nil
}

// checkRelease returns the machines of a bulk release that have to be released. Unlike a single release it does not take one that is being
// released.
func (r *Region) checkRelease(q *rest.Request) ([]*machine, error) {
	var unknown, forbidden, wrong []string
	var todo []*machine
	for _, id := range slices.Compact(slices.Sorted(slices.Values(q.Form.All("machines")))) {
		m := r.lookUp(id)
		switch {
		case m == nil:
			unknown = append(unknown, id)
		case !canEdit(q.User, m):
			forbidden = append(forbidden, id)
		case m.status.in(releasable...):
			todo = append(todo, m)
		case m.status != statusReady:
			wrong = append(wrong, id+" ('"+m.status.String()+"')")
		}
	}
	switch {
	case len(unknown) > 0:
		return nil, rest.Text(http.StatusBadRequest, "Unknown machine(s): %s.", strings.Join(unknown, ", "))
	case len(forbidden) > 0:
		return nil, rest.Text(http.StatusForbidden, "You don't have the required permission to release the following machine(s): %s.", strings.Join(forbidden, ", "))
	case len(wrong) > 0:
		return nil, rest.Text(http.StatusConflict, "Machine(s) cannot be released in their current state: %s.", strings.Join(wrong, ", "))
	}
	for _, m := range todo {
		if err := r.freeHosts(m, false); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(todo, func(a, b *machine) int { return a.id - b.id })
	return todo, nil
}
