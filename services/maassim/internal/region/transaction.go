package region

import (
	"net/http"

	"github.com/capmaas/capmaas/services/maassim/internal/fault"
	"github.com/capmaas/capmaas/services/maassim/internal/rest"
)

// maxTries is how often MAAS runs a view whose transaction lost against another before it gives up.
const maxTries = 10

// change announces that a machine's row is written: a transaction that read it before and writes it later has lost.
func (r *Region) change(m *machine) {
	r.machines.Touch(m)
	m.written()
}

// written gives a row a new revision.
func (m *machine) written() {
	*m.revisions++
	m.rev = *m.revisions
}

// changedSince reports whether a transaction that began at that revision conflicts with what others did to the row.
func (m *machine) changedSince(revision int) bool { return m.rev > revision }

// lostRace is the answer when every try of a view lost. Unlike a 409 for a wrong state it is HTML and says when to come back.
func lostRace() error {
	return &rest.Error{
		Status: http.StatusConflict, ContentType: "text/html; charset=utf-8", Header: http.Header{"Retry-After": {"5"}},
		Body: []byte(fault.ConflictPage),
	}
}

// raised is an error of a field that MAAS raises outside a form: its middleware makes the answer, which names no charset.
func raised(field, format string, args ...any) error {
	e, _ := rest.Invalid(field, format, args...).(*rest.Error) //nolint:errorlint // it is never another
	e.ContentType = "application/json"
	return e
}
