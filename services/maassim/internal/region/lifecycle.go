package region

import (
	"maps"
	"net/http"
	"regexp"
	"slices"
	"unicode/utf8"

	"github.com/capmaas/capmaas/services/maassim/internal/rest"
)

// edited finds the machine of a request that changes it: the user's own or one without an owner, and not locked.
func (r *Region) edited(q *rest.Request) (*machine, error) {
	m, err := r.machineOf(q)
	if err != nil {
		return nil, err
	}
	if !canEdit(q.User, m) {
		return nil, rest.Forbidden()
	}
	return m, nil
}

// abort ends an operation; the answer still shows it (recordings 193, 194).
func (r *Region) abort(q *rest.Request) (any, error) {
	defer r.begin()()
	m, err := r.edited(q)
	if err != nil {
		return nil, err
	}
	next, what := statusAllocated, "Aborted deployment"
	switch m.status {
	case statusDeploying:
	case statusCommissioning:
		next, what = statusNew, "Aborted commissioning"
	case statusTesting:
		next, what = m.afterTest(), "Aborted testing"
	case statusDiskErasing:
		next, what = statusFailedDiskErasing, "Aborted disk erasing"
	default:
		return nil, rest.Text(http.StatusConflict, "Cannot abort in current state: node %s is in state %s.", m.systemID, m.status)
	}
	if err := r.power(m, false, q.Faults); err != nil {
		return nil, powerFailed(err)
	}
	r.change(m)
	if m.status == statusCommissioning {
		m.owner = nil
	}
	r.note(m, "INFO", what, "")
	answer := r.machineJSON(m)
	m.set(next)
	return answer, nil
}

// afterTest is the status to which an aborted test returns: that before it, and New for the tests of a commissioning.
func (m *machine) afterTest() status {
	if m.previous == statusCommissioning {
		return statusNew
	}
	return m.returnTo
}

// annotationKey has the letters and digits of every script, as Python's \w.
var annotationKey = regexp.MustCompile(`^[\p{L}\p{N}_.-]+$`)

// annotate sets workload annotations, all or none; only the owner may (recordings 143-151, 340, 416).
func (r *Region) annotate(q *rest.Request) (any, error) {
	defer r.begin()()
	m, err := r.edited(q)
	if err != nil {
		return nil, err
	}
	if m.owner != q.User {
		return nil, rest.Text(http.StatusConflict, "Cannot set workload annotation: it hasn't been acquired.")
	}
	names := slices.DeleteFunc(slices.Clone(q.Form.Names()), func(n string) bool { return n == "op" })
	for _, key := range names {
		if n := utf8.RuneCountInString(key); n > 255 {
			return nil, raised("key", "Ensure this value has at most 255 characters (it has %d).", n)
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

// lockMachine locks what is deployed or being deployed; who may is its owner or an administrator.
func (r *Region) lockMachine(q *rest.Request) (any, error) {
	defer r.begin()()
	m, err := r.owned(q)
	if err != nil {
		return nil, err
	}
	if m.locked {
		return nil, rest.Text(http.StatusConflict, "Machine is already locked")
	}
	if !m.status.in(statusDeployed, statusDeploying) {
		return nil, rest.Text(http.StatusConflict, "Can't lock, node is not deployed or deploying")
	}
	r.change(m)
	m.locked = true
	return r.machineJSON(m), nil
}

func (r *Region) unlockMachine(q *rest.Request) (any, error) {
	defer r.begin()()
	m, err := r.owned(q)
	if err != nil {
		return nil, err
	}
	if !m.locked {
		return nil, rest.Text(http.StatusConflict, "Machine is not locked")
	}
	r.change(m)
	m.locked = false
	return r.machineJSON(m), nil
}

// owned finds the machine of a request that its owner or an administrator may make, locked or not.
func (r *Region) owned(q *rest.Request) (*machine, error) {
	m, err := r.machineOf(q)
	if err != nil {
		return nil, err
	}
	if !q.User.Admin && m.owner != q.User {
		return nil, rest.Forbidden()
	}
	return m, nil
}

// markBroken is for the owner alone. What was allocated is released on the way (recording 199).
func (r *Region) markBroken(q *rest.Request) (any, error) {
	defer r.begin()()
	m, err := r.edited(q)
	if err != nil {
		return nil, err
	}
	if m.owner != q.User {
		return nil, rest.Forbidden()
	}
	before := m.status
	if m.status.in(releasable...) {
		if err := r.power(m, false, q.Faults); err != nil {
			return nil, powerFailed(err)
		}
		r.clearDeployment(m)
		r.note(m, "INFO", "Releasing", "")
	}
	if err := r.transition(m, statusBroken); err != nil {
		return nil, err
	}
	m.previous, m.owner = before, nil
	if m.errorText = q.Form.Get("comment"); m.errorText == "" {
		m.errorText = q.Form.Get("error_description")
	}
	return r.machineJSON(m), nil
}

// markFixed makes a broken machine Ready, or Deployed when it was.
func (r *Region) markFixed(q *rest.Request) (any, error) {
	defer r.begin()()
	m, err := r.administered(q)
	if err != nil {
		return nil, err
	}
	if m.status != statusBroken {
		return nil, rest.Text(http.StatusConflict, "Can't mark a non-broken node as 'Ready'.")
	}
	to := statusReady
	if m.previous == statusDeployed {
		to = statusDeployed
	}
	if err := r.transition(m, to); err != nil {
		return nil, err
	}
	m.errorText, m.osystem, m.series, m.kernel, m.scripts.installation = "", "", "", "", 0
	return r.machineJSON(m), nil
}

// enterRescue boots a machine into rescue mode.
func (r *Region) enterRescue(q *rest.Request) (any, error) {
	defer r.begin()()
	m, err := r.administered(q)
	if err != nil {
		return nil, err
	}
	before := m.status
	if err := r.transition(m, statusEnteringRescue); err != nil {
		return nil, err
	}
	m.returnTo = before
	r.note(m, "INFO", "Entering rescue mode", "")
	return r.rescue(m, rescueStep{before, statusRescueMode, statusFailedEnteringRescue, true}, q)
}

// exitRescue boots a machine into what it was before rescue mode.
func (r *Region) exitRescue(q *rest.Request) (any, error) {
	defer r.begin()()
	m, err := r.administered(q)
	if err != nil {
		return nil, err
	}
	if !m.status.in(statusRescueMode, statusEnteringRescue, statusFailedEnteringRescue, statusFailedExitingRescue) {
		return nil, rest.Text(http.StatusConflict, "Invalid transition: %s -> %s.", m.status, statusExitingRescue)
	}
	before := m.status
	if err := r.transition(m, statusExitingRescue); err != nil {
		return nil, err
	}
	return r.rescue(m, rescueStep{before, m.returnTo, statusFailedExitingRescue, m.returnTo == statusDeployed}, q)
}

// rescueStep is the way into rescue mode or out of it: from a status, to one or, when it fails, to another, with the power on or off.
type rescueStep struct {
	from, to, failed status
	on               bool
}

func (r *Region) rescue(m *machine, step rescueStep, q *rest.Request) (any, error) {
	answer := r.machineJSON(m)
	if err := r.power(m, step.on, q.Faults); err != nil {
		m.set(step.from)
		return nil, powerFailed(err)
	}
	r.expire(nodeTimeout, m, step.failed)
	r.after(r.cfg.Durations.Rescue+q.Faults.Slow, m, func() {
		if q.Faults.Fail {
			m.set(step.failed)
			return
		}
		m.set(step.to)
	})
	return answer, nil
}
