package region

import (
	"net/http"
	"regexp"
	"slices"

	"github.com/capmaas/capmaas/services/maassim/internal/rest"
)

const (
	serviceLabel = `_[a-zA-Z0-9]([-a-zA-Z0-9]{0,62}[a-zA-Z0-9])?`
	serviceSpec  = serviceLabel + `.` + serviceLabel + `(.` + dnsLabel + `)?`
)

// MAAS separates name and domain with an expression whose dot matches anything: "nodot" is "nod" in the domain "t".
var (
	hostFQDN    = regexp.MustCompile(`^(?P<name>` + dnsLabel + `).(?P<domain>` + domainSpec + `)$`)
	serviceFQDN = regexp.MustCompile(`^(?P<name>` + serviceSpec + `).(?P<domain>` + domainSpec + `)$`)
	hostName    = regexp.MustCompile(`^` + dnsLabel + `$`)
	serviceName = regexp.MustCompile(`^` + serviceSpec + `$`)
)

// specialNames stand for the domain itself and for every name in it.
var specialNames = []string{"", "@", "*"}

// dnsName is the name and the domain of a request; what was not sent is nil.
type dnsName struct{ name, domain *string }

// dnsNameOf reads name and domain, or separates the fqdn when neither was sent. An fqdn that cannot be separated is a 500 (recording 242).
func (r *Region) dnsNameOf(v *rest.Values, rrtype string) (dnsName, error) {
	var n dnsName
	if v.Has("name") {
		name := v.Get("name")
		n.name = &name
	}
	if v.Has("domain") {
		in := v.Get("domain")
		n.domain = &in
	}
	if n.name != nil || n.domain != nil || !v.Has("fqdn") {
		return n, nil
	}
	fqdn := v.Get("fqdn")
	if slices.Contains(specialNames, fqdn) {
		return dnsName{name: &fqdn}, nil
	}
	if r.domainNamed(fqdn) != nil {
		apex := "@"
		return dnsName{name: &apex, domain: &fqdn}, nil
	}
	spec := hostFQDN
	if rrtype == "SRV" {
		spec = serviceFQDN
	}
	found := spec.FindStringSubmatch(fqdn)
	if found == nil {
		return n, rest.Text(http.StatusInternalServerError, "cannot unpack non-iterable NoneType object")
	}
	return dnsName{name: &found[spec.SubexpIndex("name")], domain: &found[spec.SubexpIndex("domain")]}, nil
}

// in returns the domain of the name, nil when none was sent. An unknown one is a 404.
func (r *Region) in(n dnsName) (*domain, error) {
	if n.domain == nil {
		return nil, nil //nolint:nilnil // no domain was asked for
	}
	d := r.domainOf(*n.domain)
	if d == nil {
		return nil, rest.NotFound("Domain")
	}
	return d, nil
}

// badRecordName says whether MAAS refuses the name of a record.
func badRecordName(name, rrtype string) bool {
	if slices.Contains(specialNames, name) {
		return false
	}
	if rrtype == "SRV" {
		return !serviceName.MatchString(name)
	}
	return !hostName.MatchString(name)
}
