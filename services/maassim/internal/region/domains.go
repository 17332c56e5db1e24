package region

import (
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/capmaas/capmaas/services/maassim/internal/rest"
)

func (r *Region) domainResources() []rest.Resource {
	return []rest.Resource{
		{Path: "domains", Actions: []rest.Action{
			{Method: http.MethodGet, Name: "domains.list", Handle: r.listDomains},
			{Method: http.MethodPost, Name: "domains.create", Admin: true, Handle: r.createDomain},
			{Method: http.MethodPost, Op: "set_serial", Name: "domains.set_serial", Admin: true, Handle: leftOut},
		}},
		{Path: "domains/{id}", Actions: []rest.Action{
			{Method: http.MethodGet, Name: "domains.read", Handle: r.readDomain},
			{Method: http.MethodPut, Name: "domains.update", Handle: r.updateDomain},
			{Method: http.MethodDelete, Name: "domains.delete", Handle: r.deleteDomain},
			{Method: http.MethodPost, Op: "set_default", Name: "domains.set_default", Handle: leftOut},
		}},
	}
}

func (r *Region) listDomains(*rest.Request) (any, error) {
	defer r.begin()()
	all := []object{}
	for _, d := range r.domains {
		all = append(all, r.domainJSON(d))
	}
	return all, nil
}

// domainOf finds a domain by its id or its name, as parameters name it.
func (r *Region) domainOf(spec string) *domain {
	for _, d := range r.domains {
		if strconv.Itoa(d.id) == spec {
			return d
		}
	}
	return r.domainNamed(spec)
}

// domainAt finds the domain of a path. Changes are for administrators.
func (r *Region) domainAt(q *rest.Request, change bool) (*domain, error) {
	for _, d := range r.domains {
		if matchSpec(q.Path["id"], d.id, d.name) {
			if change && !q.User.Admin {
				return nil, rest.Forbidden()
			}
			return d, nil
		}
	}
	return nil, rest.NotFound("Domain")
}

func (r *Region) readDomain(q *rest.Request) (any, error) {
	defer r.begin()()
	d, err := r.domainAt(q, false)
	if err != nil {
		return nil, err
	}
	return r.domainJSON(d), nil
}

func (r *Region) createDomain(q *rest.Request) (any, error) {
	defer r.begin()()
	d := &domain{}
	if err := r.fillDomain(d, q); err != nil {
		return nil, err
	}
	last := slices.MaxFunc(r.domains, func(a, b *domain) int { return a.id - b.id }).id
	d.id = r.serials.next("domain", last)
	r.domains = append(r.domains, d)
	return r.domainJSON(d), nil
}

func (r *Region) updateDomain(q *rest.Request) (any, error) {
	defer r.begin()()
	d, err := r.domainAt(q, true)
	if err != nil {
		return nil, err
	}
	changed := *d
	if err := r.fillDomain(&changed, q); err != nil {
		return nil, err
	}
	*d = changed
	return r.domainJSON(d), nil
}

// deleteDomain leaves alone the default domain and those that names lie in: these rows are protected in MAAS's database, which makes it a 500.
func (r *Region) deleteDomain(q *rest.Request) (any, error) {
	defer r.begin()()
	d, err := r.domainAt(q, true)
	if err != nil {
		return nil, err
	}
	if d.id == 0 {
		return nil, rest.Text(http.StatusBadRequest, "This domain is the default domain, it cannot be deleted.")
	}
	protects := func(by string) error {
		return rest.Text(http.StatusInternalServerError,
			"(\"Cannot delete some instances of model 'Domain' because they are referenced through protected foreign keys: '%s.domain'.\", {})", by)
	}
	if len(r.records.byDomain.View(d)) > 0 {
		return nil, protects("DNSResource")
	}
	for m := range r.machines.All() {
		if m.domain == d {
			return nil, protects("Node")
		}
	}
	r.domains = slices.DeleteFunc(r.domains, func(other *domain) bool { return other == d })
	return rest.NoContent, nil
}

const (
	dnsLabel   = `[a-zA-Z0-9]([-a-zA-Z0-9]{0,62}[a-zA-Z0-9])?`
	domainSpec = `(` + dnsLabel + `[.])*` + dnsLabel + `[.]?`
)

var (
	domainName    = regexp.MustCompile(`^` + domainSpec + `$`)
	notDomainChar = regexp.MustCompile(`[^a-zA-Z0-9.-]`)
)

// badDomain says what is wrong with the name of a domain, or nothing.
func badDomain(name string) string {
	switch {
	case len(name) > 255:
		return "Domain name length cannot exceed 255 characters."
	case domainName.MatchString(name):
		return ""
	case notDomainChar.MatchString(name):
		return "Domain name contains invalid characters."
	default:
		return "Invalid domain name: " + name + "."
	}
}

// fillDomain sets what was sent. A TTL that is sent empty is inherited again.
func (r *Region) fillDomain(d *domain, q *rest.Request) error {
	var form rest.Form
	if q.Form.Has("name") || d.name == "" {
		r.domainNameField(&form, d, q.Form.Get("name"))
	}
	if q.Form.Has("ttl") {
		d.ttl = ttlField(&form, "ttl", q.Form.Get("ttl"), 1, 604800)
	}
	if q.Form.Has("authoritative") {
		d.foreign = !q.Form.Bool("authoritative")
	}
	if q.Form.Get("authoritative") != "" && q.Form.Get("forward_dns_servers") != "" {
		form.Addf("__all__", "a domain cannot be both authoritative and have forward dns servers")
	}
	return form.Err()
}

func (r *Region) domainNameField(form *rest.Form, d *domain, name string) {
	switch bad := badDomain(name); {
	case name == "":
		form.Addf("name", "This field is required.")
	case bad != "":
		form.Addf("name", "%s", bad)
	case name != d.name && r.domainNamed(strings.TrimSuffix(name, ".")) != nil:
		form.Addf("name", "Domain with this Name already exists.")
	default:
		d.name = strings.TrimSuffix(name, ".")
	}
}

// ttlField reads a time to live in seconds; nil for an empty one.
func ttlField(form *rest.Form, field, text string, least, most int) *int {
	if text == "" {
		return nil
	}
	n, err := strconv.Atoi(strings.TrimSpace(text))
	switch {
	case err != nil:
		form.Addf(field, "Enter a whole number.")
		return nil
	case n < least:
		form.Addf(field, "Ensure this value is greater than or equal to %d.", least)
	case n > most:
		form.Addf(field, "Ensure this value is less than or equal to %d.", most)
	}
	return &n
}
