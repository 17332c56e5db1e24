package region

import (
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/capmaas/capmaas/services/maassim/internal/fault"
	"github.com/capmaas/capmaas/services/maassim/internal/rest"
)

// releaseTimeout is how long MAAS waits for a released machine to be off.
const releaseTimeout = 5 * time.Minute

// release gives a machine back. It ends in Ready, or in New when the machine never passed commissioning (recordings 182, 270, 350).
func (r *Region) release(q *rest.Request) (any, error) {
	defer r.begin()()
	m, err := r.machineOf(q)
	if err != nil {
		return nil, err
	}
	if !canEdit(q.User, m) {
		return nil, rest.Forbidden()
	}
	if m.status.in(statusReady, statusReleasing) {
		return r.machineJSON(m), nil
	}
	if !m.status.in(releasable...) {
		return nil, rest.Text(http.StatusConflict, "Machine cannot be released in its current state ('%s').", m.status)
	}
	if m.hostOf != nil {
		return nil, rest.Text(http.StatusBadRequest, "The following VM hosts must be removed first: %s", m.hostOf.name)
	}
	return r.startReleasing(m, q.Faults)
}

func (r *Region) startReleasing(m *machine, faults fault.Inside) (any, error) {
	before := m.status
	wasOn := m.powerOn
	m.set(statusReleasing)
	m.agent, m.osystem, m.series, m.kernel, m.ephemeral, m.netboot = "", "", "", "", false, true
	r.note(m, "INFO", "Releasing", "")
	err := r.power(m, false)
	switch {
	case err != nil && r.minor >= 5:
		m.set(before)
		return nil, powerFailed(err)
	case err != nil:
		r.after(releaseTimeout, m, func() { r.failRelease(m) })
	case !wasOn && faults.Slow == 0 && !faults.Fail && !m.dynamic:
		r.finishRelease(m) // nothing to wait for: the answer shows the end
	case faults.Fail:
		r.after(r.cfg.Durations.Release+faults.Slow, m, func() { r.failRelease(m) })
	default:
		answer := r.machineJSON(m)
		r.after(r.cfg.Durations.Release+faults.Slow, m, func() { r.finishRelease(m) })
		return answer, nil
	}
	return r.machineJSON(m), nil
}

func (r *Region) failRelease(m *machine) {
	m.set(statusFailedReleasing)
	r.failed(m, "Machine failed to be released: timed out after 5 minutes.")
}

func (r *Region) finishRelease(m *machine) {
	r.freeAuto(m)
	m.owner, m.userData, m.annotations = nil, nil, map[string]string{}
	if m.dynamic {
		_ = r.lxd.Delete(m.host.server, m.host.project, m.instance) // MAAS only logs a failure
		r.removeMachine(m)
		return
	}
	m.set(statusNew)
	if m.tested {
		m.set(statusReady)
	}
	r.note(m, "INFO", "Released", "")
}

// releaseMany releases all or none of the machines.
func (r *Region) releaseMany(q *rest.Request) (any, error) {
	defer r.begin()()
	var locked, wrong []string
	var todo []*machine
	for _, id := range q.Form.All("machines") {
		m := r.machine(id)
		switch {
		case m == nil:
			return nil, rest.Text(http.StatusBadRequest, "Unknown machine(s): %s.", id)
		case !canEdit(q.User, m):
			locked = append(locked, id)
		case m.status.in(releasable...):
			todo = append(todo, m)
		case !m.status.in(statusReady, statusReleasing):
			wrong = append(wrong, id+" ('"+m.status.String()+"')")
		}
	}
	if len(locked) > 0 {
		return nil, rest.Text(http.StatusForbidden, "You don't have the required permission to release the following machine(s): %s.", strings.Join(locked, ", "))
	}
	if len(wrong) > 0 {
		return nil, rest.Text(http.StatusConflict, "Machine(s) cannot be released in their current state: %s.", strings.Join(wrong, ", "))
	}
	done := []string{}
	for _, m := range todo {
		if _, err := r.startReleasing(m, q.Faults); err != nil {
			return nil, err
		}
		done = append(done, m.systemID)
	}
	return done, nil
}

// abort ends an operation; the answer still shows it (recordings 193, 194).
func (r *Region) abort(q *rest.Request) (any, error) {
	defer r.begin()()
	m, err := r.machineOf(q)
	if err != nil {
		return nil, err
	}
	if !canEdit(q.User, m) {
		return nil, rest.Forbidden()
	}
	next, what := statusAllocated, "Aborted deployment"
	switch m.status {
	case statusDeploying:
	case statusCommissioning:
		next, what = statusNew, "Aborted commissioning"
	case statusTesting:
		next, what = m.previous, "Aborted testing"
	default:
		return nil, rest.Text(http.StatusConflict, "Cannot abort in current state: node %s is in state %s.", m.systemID, m.status)
	}
	if err := r.power(m, false); err != nil {
		return nil, powerFailed(err)
	}
	r.note(m, "INFO", what, "")
	answer := r.machineJSON(m)
	if m.status == statusCommissioning {
		m.owner = nil
	}
	m.set(next)
	return answer, nil
}

func (r *Region) commission(q *rest.Request) (any, error) {
	defer r.begin()()
	m, err := r.machineOf(q)
	if err != nil {
		return nil, err
	}
	if m.locked {
		return nil, rest.Forbidden()
	}
	if !m.status.in(commissionable...) {
		return nil, rest.Invalid("__all__", "'Commission' action is not available because the machine is %s.", m.status)
	}
	m.skipNetwork = q.Form.Bool("skip_networking")
	m.owner = q.User
	r.startCommissioning(m, q.Faults)
	return r.machineJSON(m), nil
}

// startCommissioning powers the machine on and plans its end: Ready, off, without an owner, with a link on each NIC.
func (r *Region) startCommissioning(m *machine, faults fault.Inside) {
	m.set(statusCommissioning)
	r.note(m, "INFO", "Commissioning", "")
	if err := r.power(m, true); err != nil {
		m.set(statusNew)
		return
	}
	r.after(r.cfg.Durations.Commission+faults.Slow, m, func() {
		m.owner = nil
		if faults.Fail {
			m.set(statusFailedCommissioning)
			r.failed(m, "Node operation 'Commissioning' timed out after 30 minutes.")
			return
		}
		m.tested = true
		_ = r.power(m, false) // an unreachable host leaves it on, the row says so
		for n, i := range m.interfaces {
			if sub := r.subnetOfNIC(i); sub != nil && len(i.links) == 0 && (n == 0 || m.skipNetwork) {
				r.newLink(i, sub, "auto")
			}
		}
		m.set(statusReady)
	})
}

var annotationKey = regexp.MustCompile(`^[\w.-]+$`)

// annotate sets workload annotations, all or none; only the owner may (recordings 143-151, 340, 416).
func (r *Region) annotate(q *rest.Request) (any, error) {
	defer r.begin()()
	m, err := r.machineOf(q)
	if err != nil {
		return nil, err
	}
	if m.owner != q.User {
		return nil, rest.Text(http.StatusConflict, "Cannot set workload annotation: it hasn't been acquired.")
	}
	names := slices.DeleteFunc(slices.Clone(q.Form.Names()), func(n string) bool { return n == "op" })
	for _, key := range names {
		if n := utf8.RuneCountInString(key); n > 255 {
			return nil, rest.Invalid("key", "Ensure this value has at most 255 characters (it has %d).", n)
		}
		if !annotationKey.MatchString(key) {
			return nil, rest.Text(http.StatusInternalServerError, "Invalid character in key name")
		}
	}
	changed := make(map[string]string, len(m.annotations)+len(names))
	maps.Copy(changed, m.annotations)
	for _, key := range names {
		if value := q.Form.Get(key); value != "" {
			changed[key] = value
		} else {
			delete(changed, key)
		}
	}
	m.annotations = changed
	return r.machineJSON(m), nil
}

func (r *Region) lockMachine(q *rest.Request) (any, error) {
	defer r.begin()()
	m, err := r.machineOf(q)
	if err != nil {
		return nil, err
	}
	if m.locked {
		return nil, rest.Text(http.StatusConflict, "Machine is already locked")
	}
	if !m.status.in(statusDeployed, statusDeploying) {
		return nil, rest.Text(http.StatusConflict, "Can't lock, node is not deployed or deploying")
	}
	m.locked = true
	return r.machineJSON(m), nil
}

func (r *Region) unlockMachine(q *rest.Request) (any, error) {
	defer r.begin()()
	m, err := r.machineOf(q)
	if err != nil {
		return nil, err
	}
	if !m.locked {
		return nil, rest.Text(http.StatusConflict, "Machine is not locked")
	}
	m.locked = false
	return r.machineJSON(m), nil
}

func (r *Region) markBroken(q *rest.Request) (any, error) {
	defer r.begin()()
	m, err := r.machineOf(q)
	if err != nil {
		return nil, err
	}
	if !canEdit(q.User, m) {
		return nil, rest.Forbidden()
	}
	m.set(statusBroken)
	r.failed(m, q.Form.Get("comment"))
	return r.machineJSON(m), nil
}

// powerOn also deploys an Allocated machine, with the default image, and wipes the stored user data in any case (recordings 561, 562).
func (r *Region) powerOn(q *rest.Request) (any, error) {
	defer r.begin()()
	m, err := r.machineOf(q)
	if err != nil {
		return nil, err
	}
	if !canEdit(q.User, m) {
		return nil, rest.Forbidden()
	}
	if m.owner == nil {
		return nil, rest.Text(http.StatusConflict, "Can't start node: it hasn't been allocated.")
	}
	m.userData = nil
	if q.Form.Has("user_data") {
		data := q.Form.Get("user_data")
		m.userData = &data
	}
	if m.status == statusAllocated {
		if err := r.claimAuto(m); err != nil {
			return nil, err
		}
		return r.startDeploying(m, q.Faults)
	}
	answer := r.machineJSON(m)
	if err := r.power(m, true); err != nil {
		return nil, powerFailed(err)
	}
	return answer, nil
}

func (r *Region) powerOff(q *rest.Request) (any, error) {
	defer r.begin()()
	m, err := r.machineOf(q)
	if err != nil {
		return nil, err
	}
	if !canEdit(q.User, m) {
		return nil, rest.Forbidden()
	}
	answer := r.machineJSON(m)
	if err := r.power(m, false); err != nil {
		return nil, powerFailed(err)
	}
	return answer, nil
}
