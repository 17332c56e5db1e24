package region

import (
	"net/http"
	"slices"

	"github.com/capmaas/capmaas/services/maassim/internal/fault"
	"github.com/capmaas/capmaas/services/maassim/internal/rest"
)

// deployment is a valid deploy form.
type deployment struct {
	system, series, kernel      string
	ephemeral, hwSync, crashLog bool
	userData                    *string
}

// deploy starts a deployment from Ready, which acquires the machine, or from Allocated, whoever owns it (recordings 129, 341). A deployment
// that was begun on a Ready machine is run again when somebody else's allocate commits meanwhile, and then deploys that machine (352).
func (r *Region) deploy(q *rest.Request) (any, error) {
	for range maxTries {
		answer, lost, err := r.tryDeploy(q)
		if lost {
			continue
		}
		if err == nil && r.minor < 6 {
			r.wait(r.cfg.Durations.Power) // later versions leave it to a workflow
		}
		return answer, err
	}
	return nil, lostRace()
}

// tryDeploy is one run of the view; lost says that another transaction changed the machine before this one could.
func (r *Region) tryDeploy(q *rest.Request) (answer any, lost bool, err error) {
	m, d, began, err := r.readDeploy(q)
	if err != nil {
		return nil, false, err
	}
	r.held(PlaceDeployRead, m.name, m.systemID)
	if m.ready {
		r.acquiring.Lock()
		defer r.acquiring.Unlock()
	}
	r.wait(r.cfg.Durations.DeployCall)
	defer r.begin()()
	if !r.machines.Has(m.machine) || m.changedSince(began) {
		return nil, true, nil
	}
	answer, err = r.startDeployment(m.machine, d, q)
	return answer, false, err
}

// seen is a machine as a transaction read it.
type seen struct {
	*machine

	name  string
	ready bool
}

// readDeploy checks the request against the machine, and returns the revision at which it did.
func (r *Region) readDeploy(q *rest.Request) (seen, deployment, int, error) {
	defer r.begin()()
	m, err := r.edited(q)
	if err != nil {
		return seen{}, deployment{}, 0, err
	}
	d, err := r.deployForm(m, q)
	if err != nil {
		return seen{}, deployment{}, 0, err
	}
	return seen{m, m.hostname, m.status == statusReady}, d, r.revision, r.checkDeployable(m)
}

// bridgeTypes are the choices of bridge_type.
var bridgeTypes = []string{"standard", "ovs"}

// deployForm reads the parameters in MAAS's order. osystem is none of them: every version ignores it.
func (r *Region) deployForm(m *machine, q *rest.Request) (deployment, error) {
	f := &q.Form
	d := deployment{ephemeral: f.Bool("ephemeral_deploy") || r.minor >= 5 && len(m.disks) == 0, hwSync: f.Bool("enable_hw_sync"), crashLog: f.Bool("enable_kernel_crash_dump")}
	if t := f.Get("bridge_type"); t != "" && !slices.Contains(bridgeTypes, t) {
		return d, rest.Invalid("bridge_type", "'%s' is not a valid bridge_type.  It should be one of: 'ovs', 'standard'.", t)
	}
	if f.Bool("install_rackd") {
		return d, rest.Text(http.StatusBadRequest, "Deploying a machine as a rackd has been disabled and it's not supported anymore.")
	}
	host := f.Bool("install_kvm") || f.Bool("register_vmhost")
	if err := r.checkHostDeploy(host, d, q.User); err != nil {
		return d, err
	}
	if m.status == statusReady && m.owner != nil && m.owner != q.User {
		return d, rest.Text(http.StatusConflict, "Can't allocate a machine belonging to another user.")
	}
	if !m.status.in(statusReady, statusAllocated) {
		return d, rest.Text(http.StatusConflict, "Can't deploy a machine that is in the '%s' state", m.status)
	}
	var err error
	if d.system, d.series, err = r.chooseSeries(m, f); err != nil {
		return d, err
	}
	if d.kernel, err = r.chooseKernel(m, f, d.system, d.series); err != nil {
		return d, err
	}
	if d.ephemeral && d.system != "ubuntu" {
		return d, rest.Text(http.StatusBadRequest, "Ephemeral deployments only supported on Ubuntu Bionic 18.04+")
	}
	if host {
		return d, unsimulated("deploying a VM host")
	}
	d.userData = sentUserData(q)
	return d, nil
}

// checkHostDeploy: only administrators deploy VM hosts, and not in memory.
func (r *Region) checkHostDeploy(host bool, d deployment, user *rest.User) error {
	switch {
	case !host:
	case !user.Admin:
		return rest.Text(http.StatusForbidden, "Only administratros can deploy VM hosts")
	case d.ephemeral && r.minor == 4:
		return rest.Text(http.StatusBadRequest, "Cannot deploy as a VM host for ephemeral deployments.")
	case d.ephemeral:
		return rest.Text(http.StatusBadRequest, "A machine can not be a VM host if it is deployed to memory.")
	}
	return nil
}

// checkDeployable: a machine needs a network, and before 3.5 a disk.
func (r *Region) checkDeployable(m *machine) error {
	if !slices.ContainsFunc(m.links(), func(l *link) bool { return l.mode != modeLinkUp && l.subnet != nil }) {
		return raised("network", "Node must be configured to use a network")
	}
	if len(m.disks) == 0 && r.minor == 4 {
		return raised("storage", "There are currently no storage devices.  Please add a storage device to be able to deploy this node.")
	}
	return nil
}

// startDeployment changes nothing when addresses are lacking.
func (r *Region) startDeployment(m *machine, d deployment, q *rest.Request) (any, error) {
	fresh, err := r.claimFresh(m)
	if err != nil {
		return nil, err
	}
	if m.status == statusReady {
		r.acquire(m, q)
	}
	m.osystem, m.series, m.kernel, m.ephemeral, m.userData = d.system, d.series, d.kernel, d.ephemeral, d.userData
	m.hwSync, m.crashDump = d.hwSync, d.crashLog
	none := ""
	m.minKernel = &none
	return r.startDeploying(m, fresh, q.Faults)
}

// claimFresh gives every AUTO link its address and returns those that had none.
func (r *Region) claimFresh(m *machine) ([]*link, error) {
	fresh := slices.DeleteFunc(m.links(), func(l *link) bool { return l.mode != modeAuto || l.address != nil })
	return fresh, r.claimAuto(m)
}

// startDeploying powers the machine on and plans the end. The answer does not show the addresses yet that its AUTO links have just got
// (recording 134). A host that cannot be reached shows in the answer up to MAAS 3.5, and as a failed deployment later.
func (r *Region) startDeploying(m *machine, fresh []*link, faults fault.Inside) (any, error) {
	r.change(m)
	m.set(statusDeploying)
	m.errorText = ""
	if !m.ephemeral {
		m.scripts.installation = r.newScripts()
	}
	r.note(m, "INFO", "Deploying", "")
	answer := r.withoutAddresses(m, fresh)
	err := r.power(m, true, faults)
	if err != nil && (r.minor < 6 || faults.PostCommit) {
		m.set(statusAllocated)
		r.freeAuto(m)
		return nil, powerFailed(err)
	}
	r.expire(r.deployTimeout(), m, statusFailedDeployment)
	r.after(r.cfg.Durations.Deploy+faults.Slow, m, func() {
		if faults.Fail || err != nil {
			m.set(statusFailedDeployment)
			r.failed(m, timedOut(statusDeploying, r.deployTimeout()))
			return
		}
		m.set(statusDeployed)
		m.netboot = false
		r.note(m, "INFO", "Deployed", "")
	})
	return answer, nil
}

// withoutAddresses renders a machine as if these links had no address.
func (r *Region) withoutAddresses(m *machine, links []*link) any {
	held := make([]*address, len(links))
	for at, l := range links {
		held[at], l.address = l.address, nil
	}
	answer := r.machineJSON(m)
	for at, l := range links {
		l.address = held[at]
	}
	return answer
}
