package region

import (
	"net/http"

	"github.com/capmaas/capmaas/services/maassim/internal/fault"
	"github.com/capmaas/capmaas/services/maassim/internal/rest"
)

// commission starts a commissioning; only an administrator may.
func (r *Region) commission(q *rest.Request) (any, error) {
	defer r.begin()()
	m, err := r.administered(q)
	if err != nil {
		return nil, err
	}
	if !m.status.in(commissionable...) {
		return nil, rest.Invalid("__all__", "Commission is not available because of the current state of the node.")
	}
	m.skipNetwork = q.Form.Bool("skip_networking")
	if err := r.startCommissioning(m, q.User, q.Faults); err != nil {
		return nil, err
	}
	return r.machineJSON(m), nil
}

// administered finds the machine of a request that takes an administrator and a machine that is not locked.
func (r *Region) administered(q *rest.Request) (*machine, error) {
	m, err := r.machineOf(q)
	if err != nil {
		return nil, err
	}
	if !q.User.Admin || m.locked {
		return nil, rest.Forbidden()
	}
	return m, nil
}

// startCommissioning powers the machine on and plans its end: tested where tests are simulated, then Ready, off and without an owner. When
// the machine cannot be powered on it falls back, keeps its new owner, and the caller gets a 500.
func (r *Region) startCommissioning(m *machine, user *rest.User, faults fault.Inside) error {
	before := m.status
	r.change(m)
	m.set(statusCommissioning)
	m.owner, m.errorText = user, ""
	m.scripts.commissioning, m.scripts.testing = r.newScripts(), r.newScripts()
	r.note(m, "INFO", "Commissioning", "")
	if err := r.power(m, true, faults); err != nil {
		m.set(before)
		return powerFailed(err)
	}
	r.expire(nodeTimeout, m, statusFailedCommissioning)
	r.after(r.cfg.Durations.Commission+faults.Slow, m, func() {
		switch {
		case faults.Fail:
			m.owner = nil
			m.set(statusFailedCommissioning)
			r.failed(m, timedOut(statusCommissioning, nodeTimeout))
		case r.cfg.Durations.Test > 0:
			m.set(statusTesting)
			r.note(m, "INFO", "Testing", "")
			r.after(r.cfg.Durations.Test, m, func() { r.finishCommissioning(m) })
		default:
			r.finishCommissioning(m)
		}
	})
	return nil
}

func (r *Region) newScripts() int {
	r.ids.script++
	return r.ids.script
}

// finishCommissioning gives each NIC its link: the first one, or all when the network was configured beforehand.
func (r *Region) finishCommissioning(m *machine) {
	m.owner, m.tested, m.laidOut = nil, true, true
	_ = r.power(m, false, fault.Inside{}) // an unreachable host leaves it on, the row says so
	for n, i := range m.interfaces {
		if sub := r.subnetOfNIC(i); sub != nil && len(i.links) == 0 && (n == 0 || m.skipNetwork) {
			r.newLink(i, sub, modeAuto)
		}
	}
	m.set(statusReady)
}

// testMachine runs the tests of a machine that was commissioned before.
func (r *Region) testMachine(q *rest.Request) (any, error) {
	defer r.begin()()
	m, err := r.administered(q)
	if err != nil {
		return nil, err
	}
	if !m.status.mayBecome(statusTesting) || m.status.in(statusCommissioning, statusTesting) {
		return nil, rest.Invalid("__all__", "Test is not available because of the current state of the node.")
	}
	if m.scripts.commissioning == 0 && !m.tested {
		return nil, rest.Text(http.StatusBadRequest, "Unable to start machine testing; this node has never been commissioned. Please use the 'Commission' action to commission & test this machine.")
	}
	before := m.status
	r.change(m)
	m.set(statusTesting)
	m.returnTo = before
	m.scripts.testing = r.newScripts()
	r.note(m, "INFO", "Testing", "")
	answer := r.machineJSON(m)
	if err := r.power(m, true, q.Faults); err != nil {
		m.set(before)
		return nil, powerFailed(err)
	}
	r.expire(nodeTimeout, m, statusFailedTesting)
	r.after(r.cfg.Durations.Test+q.Faults.Slow, m, func() { r.finishTest(m, q.Faults.Fail) })
	return answer, nil
}

// finishTest ends a test: a machine that was broken or failed is Ready when it passes, any other is what it was.
func (r *Region) finishTest(m *machine, failed bool) {
	if failed {
		m.set(statusFailedTesting)
		r.note(m, "INFO", "Failed testing", "")
		return
	}
	to := m.returnTo
	if to.in(statusBroken, statusFailedDeployment, statusFailedReleasing, statusFailedDiskErasing, statusFailedTesting, statusMissing,
		statusFailedEnteringRescue, statusFailedExitingRescue) {
		to = statusReady
	}
	if to != statusDeployed {
		_ = r.power(m, false, fault.Inside{})
	}
	m.set(to)
}

// overrideTest makes a machine usable whose test failed.
func (r *Region) overrideTest(q *rest.Request) (any, error) {
	defer r.begin()()
	m, err := r.administered(q)
	if err != nil {
		return nil, err
	}
	if m.status != statusFailedTesting {
		return nil, rest.Text(http.StatusConflict, "Unable to override node status. Node is not in 'Failed testing' status.")
	}
	to := statusReady
	if m.osystem != "" {
		to = statusDeployed
	}
	if err := r.transition(m, to); err != nil {
		return nil, err
	}
	m.errorText = ""
	return r.machineJSON(m), nil
}
