package region

import (
	"net/http"
	"slices"
	"strings"

	"github.com/capmaas/capmaas/services/maassim/internal/fault"
	"github.com/capmaas/capmaas/services/maassim/internal/rest"
)

// deploy starts a deployment from Ready, which acquires the machine, or from Allocated, whoever owns it (recordings 129, 341).
func (r *Region) deploy(q *rest.Request) (any, error) {
	defer r.begin()()
	m, err := r.machineOf(q)
	if err != nil {
		return nil, err
	}
	if m.locked {
		return nil, rest.Forbidden()
	}
	if !m.status.in(statusReady, statusAllocated) {
		return nil, rest.Text(http.StatusConflict, "Can't deploy a machine that is in the '%s' state", m.status)
	}
	system, series, err := r.chooseSeries(m, q)
	if err != nil {
		return nil, err
	}
	if len(m.links()) == 0 {
		return nil, rest.Invalid("network", "Node must be configured to use a network")
	}
	if err := r.claimAuto(m); err != nil {
		return nil, err
	}
	if m.status == statusReady {
		r.acquire(m, q)
	}
	m.osystem, m.series, m.kernel, m.ephemeral = system, series, "ga-22.04", q.Form.Bool("ephemeral_deploy")
	m.userData = nil
	if q.Form.Has("user_data") {
		data := q.Form.Get("user_data") // MAAS stores what it gets, base64 or not (recording 131)
		m.userData = &data
	}
	return r.startDeploying(m, q.Faults)
}

// startDeploying powers the machine on and plans the end. A host that cannot be reached shows in the answer up to MAAS 3.5, and as a
// failed deployment later.
func (r *Region) startDeploying(m *machine, faults fault.Inside) (any, error) {
	m.set(statusDeploying)
	m.errorText = ""
	r.note(m, "INFO", "Deploying", "")
	answer := r.machineJSON(m)
	err := r.power(m, true)
	if err != nil && r.minor < 6 {
		m.set(statusAllocated)
		r.freeAuto(m)
		return nil, powerFailed(err)
	}
	r.after(r.cfg.Durations.Deploy+faults.Slow, m, func() {
		if faults.Fail || err != nil {
			m.set(statusFailedDeployment)
			r.failed(m, "Node operation 'Deploying' timed out after 30 minutes.")
			return
		}
		m.set(statusDeployed)
		m.netboot = false
		r.note(m, "INFO", "Deployed", "")
	})
	return answer, nil
}

func (r *Region) failed(m *machine, why string) {
	m.errorText = why
	r.note(m, "ERROR", "Marking node failed", why)
}

// seriesAliases are the release numbers that MAAS takes for names since 3.6.
var seriesAliases = map[string]string{"20.04": "focal", "22.04": "jammy", "24.04": "noble"}

// chooseSeries resolves distro_series to an operating system and a series for which there is an image.
func (r *Region) chooseSeries(m *machine, q *rest.Request) (system, series string, err error) {
	asked := q.Form.Get("distro_series")
	choices := r.seriesChoices()
	want := orDefault(asked, "ubuntu/"+r.defaultSeries())
	if r.minor >= 6 {
		name := strings.TrimPrefix(want, "ubuntu/")
		if alias, ok := seriesAliases[name]; ok {
			want = "ubuntu/" + alias
		}
	}
	at := slices.IndexFunc(choices, func(c string) bool { return c == want || strings.HasSuffix(c, "/"+want) })
	if at < 0 && asked != "" {
		quoted := []string{"''"}
		for _, c := range choices {
			quoted = append(quoted, "'"+c+"'")
		}
		return "", "", rest.Invalid("distro_series", "'%s' is not a valid distro_series.  It should be one of: %s.", asked, strings.Join(quoted, ", "))
	}
	if at < 0 || !r.imageFor(choices[at], m.arch) {
		if at >= 0 {
			want = choices[at]
		}
		if r.minor == 4 {
			return "", "", rest.Text(http.StatusBadRequest, "Deployment operating system %s is unavailable.", strings.Replace(want, "/", " ", 1))
		}
		return "", "", rest.Text(http.StatusBadRequest, "Deployment operating system %s is unavailable for %s.", want, m.arch)
	}
	system, series, _ = strings.Cut(choices[at], "/")
	if q.Form.Bool("ephemeral_deploy") && system != "ubuntu" {
		return "", "", rest.Text(http.StatusBadRequest, "Ephemeral deployments only supported on Ubuntu Bionic 18.04+")
	}
	return system, series, nil
}

// seriesChoices are the images as deploy names them; uploaded ones without a system of their own are "custom/…".
func (r *Region) seriesChoices() []string {
	var choices []string
	for _, i := range r.images {
		if name := i.choice(); !slices.Contains(choices, name) {
			choices = append(choices, name)
		}
	}
	slices.Sort(choices)
	return choices
}

func (i *image) choice() string {
	if strings.Contains(i.Name, "/") {
		return i.Name
	}
	return "custom/" + i.Name
}

func (r *Region) imageFor(choice, arch string) bool {
	family, _, _ := strings.Cut(arch, "/")
	return slices.ContainsFunc(r.images, func(i *image) bool {
		return i.choice() == choice && strings.HasPrefix(i.Architecture, family+"/")
	})
}

// defaultSeries is MAAS's setting default_distro_series: the first synced Ubuntu.
func (r *Region) defaultSeries() string {
	for _, i := range r.images {
		if series, ok := strings.CutPrefix(i.Name, "ubuntu/"); ok {
			return series
		}
	}
	return "jammy"
}
