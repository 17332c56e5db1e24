package region

import (
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/capmaas/capmaas/services/maassim/internal/rest"
)

// seriesAliases are the release numbers that MAAS takes for names since 3.6.
var seriesAliases = map[string]string{"20.04": "focal", "22.04": "jammy", "24.04": "noble"}

// kernels are the kernels of a release of Ubuntu; an uploaded image boots with those of the release that commissions.
var kernels = map[string]string{"bionic": "18.04", "focal": "20.04", "jammy": "22.04", "noble": "24.04"}

// chooseSeries resolves distro_series to an operating system and a series for which there is an image.
func (r *Region) chooseSeries(m *machine, f *rest.Values) (system, series string, err error) {
	asked := f.Get("distro_series")
	choices := r.seriesChoices()
	want := r.spelledOut(orDefault(asked, "ubuntu/"+r.defaultSeries()))
	at := slices.IndexFunc(choices, func(c string) bool { return c == want || strings.HasSuffix(c, "/"+want) })
	if at < 0 && asked != "" {
		quoted := []string{"''"}
		for _, c := range choices {
			quoted = append(quoted, "'"+c+"'")
		}
		return "", "", rest.Invalid("distro_series", "'%s' is not a valid distro_series.  It should be one of: %s.", asked, strings.Join(quoted, ", "))
	}
	if at >= 0 {
		want = choices[at]
	}
	if at < 0 || !r.imageFor(want, m.arch) {
		return "", "", r.noImage("Deployment", want, m.arch)
	}
	system, series, _ = strings.Cut(want, "/")
	if ephemeral := "ubuntu/" + r.defaultSeries(); system != "ubuntu" && !r.imageFor(ephemeral, m.arch) {
		return "", "", r.noImage("Ephemeral", ephemeral, m.arch) // what installs an image that is not Ubuntu's
	}
	return system, series, nil
}

// spelledOut replaces what newer versions take for a series' name: a release number, and "ubuntu" for the latest release.
func (r *Region) spelledOut(want string) string {
	if r.minor < 6 {
		return want
	}
	if alias, ok := seriesAliases[strings.TrimPrefix(want, "ubuntu/")]; ok {
		return "ubuntu/" + alias
	}
	if want != "ubuntu" {
		return want
	}
	latest := want
	for _, c := range r.seriesChoices() {
		series, ok := strings.CutPrefix(c, "ubuntu/")
		if ok && (latest == want || kernels[series] > kernels[strings.TrimPrefix(latest, "ubuntu/")]) {
			latest = c
		}
	}
	return latest
}

// noImage is the answer where an image is missing: for deploying, or for the system that installs (3.4 in other words than later ones).
func (r *Region) noImage(kind, image, arch string) error {
	text := kind + " operating system " + image + " is unavailable for " + arch + "."
	switch {
	case r.minor == 4:
		text = kind + " operating system " + strings.Replace(image, "/", " ", 1) + " is unavailable."
	case kind == "Ephemeral":
		text = kind + " operating system " + image + " for " + arch + " is unavailable."
	}
	return rest.Text(http.StatusBadRequest, "%s", text)
}

var kernelName = regexp.MustCompile(`^(ga|hwe)-([0-9]{2}\.[0-9]{2})(-edge|-lowlatency)?$`)

// chooseKernel returns the kernel asked for, or the general one of the series.
func (r *Region) chooseKernel(m *machine, f *rest.Values, system, series string) (string, error) {
	release, ok := kernels[series]
	if !ok || system != "ubuntu" {
		release = orDefault(kernels[r.defaultSeries()], "22.04")
	}
	asked := f.Get("hwe_kernel")
	if asked == "" {
		return "ga-" + release, nil
	}
	parts := kernelName.FindStringSubmatch(asked)
	if parts == nil || parts[1] == "ga" && parts[2] != release || parts[2] > release {
		return "", rest.Invalid("hwe_kernel", "%s is not available for %s/%s on %s.", asked, system, series, m.arch)
	}
	if parts[2] < release {
		return "", rest.Invalid("hwe_kernel", "%s is too old to use on %s/%s.", asked, system, series)
	}
	return asked, nil
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
