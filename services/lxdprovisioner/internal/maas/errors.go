package maas

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
)

// isPage says that the body is a page for people, from a proxy or from Django, whose words say
// nothing of the object that was asked for.
func (ex *exchange) isPage() bool {
	return strings.HasPrefix(ex.contentType, "text/html") && ex.status != http.StatusUnauthorized
}

// fault gives what the exchange means. cause is the library's error, of which only transport errors
// are kept: the others repeat key or body.
func (ex *exchange) fault(ctx context.Context, cause error) error {
	if ex.status == 0 {
		return ex.unanswered(ctx, cause)
	}
	if ex.status >= 200 && ex.status <= 299 {
		return ex.unreadable(cause)
	}
	for i := range rules {
		if r := &rules[i]; r.matches(ex) {
			said := r.say
			if said == "" {
				said = ex.said()
			}
			return fault.New(r.kind, r.reason, "%s: %s (HTTP %d)", ex.op.name, said, ex.status).WithRetryAfter(ex.retryAfter)
		}
	}
	return ex.otherwise()
}

// unreadable is for successes that aren't what they should be. Of them the field is told and nothing else.
func (ex *exchange) unreadable(cause error) error {
	problem, ok := errors.AsType[*unfit](cause)
	if !ok {
		problem = &unfit{"", "it is no answer of MAAS"}
	}
	return ex.unavailable().because("%s: MAAS's answer can't be read: %s", ex.op.name, problem.Error())
}

// unanswered is for requests without a whole answer. A broken connection's error may repeat bytes
// that came over it, so only its cleaned text is kept, and of a context's error all.
func (ex *exchange) unanswered(ctx context.Context, cause error) error {
	if wrapped, ok := errors.AsType[*url.Error](cause); ok {
		cause = wrapped.Err // the outer text repeats the URL with all ids
	}
	cause = errors.New(ex.quote(cause.Error()))
	if ctx.Err() != nil {
		cause = ctx.Err()
	}
	if !ex.connected.Load() {
		return fault.Wrap(cause, fault.Unavailable, fault.ReasonMAASUnavailable, "%s: MAAS can't be reached", ex.op.name)
	}
	g := ex.unavailable()
	return fault.Wrap(cause, g.kind, g.reason, "%s: MAAS gave no answer", ex.op.name)
}

// refusals are the statuses by which MAAS itself says that it did not do something. Any other comes from
// what stands before it (408, 425, 429, 431), and of that nobody knows what it passed on.
var refusals = []int{http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound, http.StatusConflict}

// otherwise is for answers that no rule knows. MAAS's own refusals say that it did not do it; after
// anything else a change may have been made.
func (ex *exchange) otherwise() error {
	said := ex.said()
	if len(ex.hidden) > 0 {
		said = ex.statusText()
	}
	switch {
	case ex.status < 400:
		return fault.New(fault.Unavailable, fault.ReasonMAASUnavailable,
			"%s: MAAS redirects; its URL must be the one that it redirects to, with TLS the https one (HTTP %d)", ex.op.name, ex.status)
	case ex.op.changes() && ex.op.outside, ex.isPage(), !slices.Contains(refusals, ex.status):
		return ex.unavailable().because("%s: %s (HTTP %d)", ex.op.name, said, ex.status).WithRetryAfter(ex.retryAfter)
	case ex.status == http.StatusNotFound:
		// An absence is only believed in MAAS's own words.
		return fault.New(fault.Unavailable, fault.ReasonMAASUnavailable, "%s: %s (HTTP %d)", ex.op.name, said, ex.status).WithRetryAfter(ex.retryAfter)
	default:
		return fault.New(fault.Invalid, fault.ReasonBadRequest, "%s: %s (HTTP %d)", ex.op.name, said, ex.status)
	}
}

// ground is a kind with a reason.
type ground struct {
	kind   fault.Kind
	reason fault.Reason
}

func (ex *exchange) unavailable() ground {
	if ex.op.changes() {
		return ground{fault.Unavailable, fault.ReasonOutcomeUnknown}
	}
	return ground{fault.Unavailable, fault.ReasonMAASUnavailable}
}

func (g ground) because(format string, args ...any) *fault.Error {
	return fault.New(g.kind, g.reason, format, args...)
}

// said is MAAS's own sentence in one short line.
func (ex *exchange) said() string {
	if ex.isPage() || strings.TrimSpace(ex.refusal) == "" {
		return ex.statusText()
	}
	return ex.quote(ex.refusal)
}

func (ex *exchange) statusText() string { return strings.ToLower(http.StatusText(ex.status)) }
