package region

import (
	"cmp"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/capmaas/capmaas/services/maassim/internal/rest"
)

// recordResources are the dnsresourcerecords: what names hold besides addresses.
func (r *Region) recordResources() []rest.Resource {
	return []rest.Resource{
		{Path: "dnsresourcerecords", Actions: []rest.Action{
			{Method: http.MethodGet, Name: "dnsresourcerecords.list", Handle: r.listData},
			{Method: http.MethodPost, Name: "dnsresourcerecords.create", Admin: true, Handle: r.createData},
		}},
		{Path: "dnsresourcerecords/{id}", Actions: []rest.Action{
			{Method: http.MethodGet, Name: "dnsresourcerecords.read", Handle: r.readData},
			{Method: http.MethodPut, Name: "dnsresourcerecords.update", Handle: r.updateData},
			{Method: http.MethodDelete, Name: "dnsresourcerecords.delete", Handle: r.deleteData},
		}},
	}
}

func dataJSON(rec *record, d *recordData) object {
	return object{
		"id": d.id, "fqdn": rec.fqdn(), "ttl": d.ttl, "rrtype": d.rrtype, "rrdata": d.rrdata, "resource_uri": uri("dnsresourcerecords/%d/", d.id),
	}
}

// listData compares the type as it was sent: records hold theirs in capital letters.
func (r *Region) listData(q *rest.Request) (any, error) {
	defer r.begin()()
	n, err := r.dnsNameOf(&q.Query, q.Query.Get("rrtype"))
	if err != nil {
		return nil, err
	}
	in, err := r.in(n)
	if err != nil {
		return nil, err
	}
	all := []object{}
	for _, rec := range r.recordsOf(in, n.name, "") {
		for _, d := range rec.data {
			if !q.Query.Has("rrtype") || d.rrtype == q.Query.Get("rrtype") {
				all = append(all, dataJSON(rec, d))
			}
		}
	}
	return all, nil
}

func (r *Region) dataOf(q *rest.Request) (*record, *recordData, error) {
	for rec := range r.records.All() {
		for _, d := range rec.data {
			if strconv.Itoa(d.id) == q.Path["id"] {
				return rec, d, nil
			}
		}
	}
	return nil, nil, rest.NotFound("DNSData")
}

func (r *Region) readData(q *rest.Request) (any, error) {
	defer r.begin()()
	rec, d, err := r.dataOf(q)
	if err != nil {
		return nil, err
	}
	return dataJSON(rec, d), nil
}

// createData makes the record of the name too, when there is none; a refusal takes it back.
func (r *Region) createData(q *rest.Request) (any, error) {
	defer r.begin()()
	for _, field := range []string{"rrtype", "rrdata"} {
		if !q.Form.Has(field) {
			return nil, rest.Text(http.StatusBadRequest, "%s must be provided.", field)
		}
	}
	n, err := r.dnsNameOf(&q.Form, q.Form.Get("rrtype"))
	if err != nil {
		return nil, err
	}
	in, err := r.in(n)
	switch {
	case err != nil:
		return nil, err
	case in == nil || n.name == nil:
		return nil, rest.Text(http.StatusBadRequest, "Either name and domain (or fqdn) must be specified")
	}
	rec := r.recordNamed(in, *n.name)
	made := rec == nil
	if made {
		if rec, err = r.newRecord(n, q); err != nil {
			return nil, err
		}
	}
	d := &recordData{}
	if err := r.fillData(rec, d, q); err != nil {
		if made {
			r.records.Remove(rec)
		}
		return nil, err
	}
	d.id = r.serials.next("dnsdata", 0)
	r.records.Touch(rec)
	rec.data = append(rec.data, d)
	return dataJSON(rec, d), nil
}

func (r *Region) updateData(q *rest.Request) (any, error) {
	defer r.begin()()
	rec, d, err := r.dataOf(q)
	switch {
	case err != nil:
		return nil, err
	case !q.User.Admin:
		return nil, rest.Forbidden()
	}
	changed := *d
	if err := r.fillData(rec, &changed, q); err != nil {
		return nil, err
	}
	*d = changed
	return dataJSON(rec, d), nil
}

// deleteData takes the record with it when that holds nothing more.
func (r *Region) deleteData(q *rest.Request) (any, error) {
	defer r.begin()()
	rec, d, err := r.dataOf(q)
	switch {
	case err != nil:
		return nil, err
	case !q.User.Admin:
		return nil, rest.Forbidden()
	}
	r.records.Touch(rec)
	rec.data = slices.DeleteFunc(rec.data, func(other *recordData) bool { return other == d })
	if len(rec.data) == 0 && len(rec.addresses) == 0 {
		r.records.Remove(rec)
	}
	return rest.NoContent, nil
}

// recordTypes are those that MAAS keeps besides addresses.
var recordTypes = []string{"CNAME", "MX", "NS", "SRV", "SSHFP", "TXT"}

// fillData sets what was sent; the type is kept in capital letters.
func (r *Region) fillData(rec *record, d *recordData, q *rest.Request) error {
	var form rest.Form
	fresh := d.id == 0
	if q.Form.Has("ttl") {
		d.ttl = ttlField(&form, "ttl", q.Form.Get("ttl"), 0, 1<<31-1)
	}
	if q.Form.Has("rrtype") {
		d.rrtype = strings.ToUpper(q.Form.Get("rrtype"))
	}
	if q.Form.Has("rrdata") {
		d.rrdata = strings.TrimSpace(q.Form.Get("rrdata"))
	}
	switch {
	case d.rrtype == "":
		form.Addf("rrtype", "This field is required.")
	case !slices.Contains(recordTypes, d.rrtype):
		form.Addf("rrtype", "%s is not one of %s.", d.rrtype, strings.Join(recordTypes, " "))
	}
	if d.rrdata == "" {
		form.Addf("rrdata", "This field is required.")
	}
	if form.Err() == nil {
		if bad := cmp.Or(badData(d), besideAlias(rec, d, fresh)); bad != "" {
			form.Addf("__all__", "%s", bad)
		}
	}
	return form.Err()
}

// besideAlias: a CNAME stands alone.
func besideAlias(rec *record, d *recordData, fresh bool) string {
	alias := rec.has("CNAME")
	others := len(rec.addresses) > 0 || slices.ContainsFunc(rec.data, func(o *recordData) bool { return o.rrtype != "CNAME" })
	switch {
	case !fresh:
		return ""
	case d.rrtype == "CNAME" && others, d.rrtype != "CNAME" && alias:
		return "CNAME records for a name cannot coexist with non-CNAME records."
	case d.rrtype == "CNAME" && alias:
		return "Only one CNAME can be associated with a name."
	default:
		return ""
	}
}

var (
	aliasData = regexp.MustCompile(`^([_a-zA-Z0-9]([-_a-zA-Z0-9]{0,62}[_a-zA-Z0-9])?\.)*[_a-zA-Z0-9]([-_a-zA-Z0-9]{0,62}[_a-zA-Z0-9])?\.?$`)
	keyData   = regexp.MustCompile(`^[0-9]+\s+[0-9]+\s+.*$`)
	mailData  = regexp.MustCompile(`^([0-9]+)\s+(.+)$`)
	srvData   = regexp.MustCompile(`^([0-9]+)\s+([0-9]+)\s+([0-9]+)\s+(.*)`)
)

// badData says what is wrong with the data of a record, or nothing.
func badData(d *recordData) string {
	switch d.rrtype {
	case "CNAME":
		if !aliasData.MatchString(d.rrdata) {
			return "Invalid CNAME: Should be '<server>'."
		}
	case "SSHFP":
		if !keyData.MatchString(d.rrdata) {
			return "Invalid SSHFP: Should be '<algorithm> <fptype> <fingerprint>'."
		}
	case "MX":
		found := mailData.FindStringSubmatch(d.rrdata)
		if found == nil || !portLike(found[1]) {
			return "Invalid MX: Should be '<preference> <server>'. Range for preference is 0-65535."
		}
		return badDomain(found[2])
	case "NS":
		return badDomain(d.rrdata)
	case "SRV":
		found := srvData.FindStringSubmatch(d.rrdata)
		if found == nil || !portLike(found[1]) || !portLike(found[2]) || !portLike(found[3]) {
			return "Invalid SRV: Should be '<priority> <weight> <port> <server>'. Range for priority, weight, and port are 0-65536."
		}
		if found[4] != "." {
			return badDomain(found[4])
		}
	}
	return ""
}

func portLike(text string) bool {
	_, err := strconv.ParseUint(text, 10, 16)
	return err == nil
}
