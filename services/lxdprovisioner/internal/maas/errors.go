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

// MAAS says what went wrong by status, Retry-After and a sentence, and the same status means
// different things for different operations. This file turns that into faults. Nowhere else in the
// service is an error looked at by its text; errors_test.go has one line for each sentence.

// rule is one line of the table. Its first four fields must all match; what is empty matches everything.
type rule struct {
	ops    []string // names of operations
	status int
	again  bool   // only with Retry-After
	text   string // in the body
	kind   fault.Kind
	reason fault.Reason
	say    string // instead of MAAS's own sentence
}

var (
	onCompose  = []string{opCompose.name}
	onMachine  = []string{opDelete.name, opDeploy.name, opRelease.name, opAbort.name, opAnnotate.name, opLink.name, opUnlink.name, opPowerOn.name, opSwap.name}
	onVMHosts  = []string{opVMHosts.name, opVMHost.name, opVMHostParams.name, opRefresh.name, opCompose.name}
	onAllocate = []string{opAllocate.name, opClaim.name}
	onLists    = []string{opMachines.name, opByName.name, opHostNodes.name, opAllocate.name, opClaim.name}
	onLinks    = []string{opLink.name, opUnlink.name}
)

// rules are read from the top; the first that matches decides. What none matches is decided by otherwise.
var rules = slices.Concat(
	[]rule{
		{status: http.StatusUnauthorized, kind: fault.Denied, reason: fault.ReasonMAASKeyRefused},
		{status: http.StatusForbidden, text: "reserved for admin users", kind: fault.Denied, reason: fault.ReasonMAASRightsMissing, say: "the MAAS key's user must be an administrator"},
		{status: http.StatusNotFound, text: "Unknown API endpoint", kind: fault.Unavailable, reason: fault.ReasonMAASUnavailable},
		// Without a signature some of MAAS's handlers don't answer 401 but look for an operation for everybody.
		{status: http.StatusBadRequest, text: "Unrecognised signature: method=GET op=None", kind: fault.Denied, reason: fault.ReasonMAASKeyRefused, say: "MAAS did not see the key; does a proxy drop the Authorization header?"},
		{status: http.StatusBadRequest, text: "Unrecognised signature", kind: fault.Unsupported, reason: fault.ReasonNotSupported},
		{ops: onVMHosts, status: http.StatusGone, kind: fault.Unsupported, reason: fault.ReasonMAASVMHostRemoved, say: "this MAAS has no VM hosts any more"},
	},
	composeRules, machineRules, networkRules, recordRules,
	[]rule{
		{status: http.StatusConflict, again: true, kind: fault.Busy, reason: fault.ReasonMAASBusy, say: "MAAS's database is contended"},
		{status: http.StatusServiceUnavailable, again: true, kind: fault.Busy, reason: fault.ReasonMAASBusy},
		{status: http.StatusForbidden, kind: fault.Denied, reason: fault.ReasonMAASRightsMissing},
	},
)

// composeRules: Refused is said of the answers in protocol.md 2.4 only. The form is checked before
// LXD is asked, most other refusals come from LXD; all else is an unknown outcome.
var composeRules = []rule{
	{ops: onCompose, text: "already exists", kind: fault.Unavailable, reason: fault.ReasonOutcomeUnknown},
	{ops: onCompose, text: "already in use", kind: fault.Unavailable, reason: fault.ReasonOutcomeUnknown},
	{ops: onCompose, status: http.StatusBadRequest, text: "Ensure this value is less than or equal to", kind: fault.Refused, reason: fault.ReasonHostOvercommitted},
	{ops: onCompose, status: http.StatusBadRequest, text: "Ensure this value is greater than or equal to", kind: fault.Invalid, reason: fault.ReasonBadResources},
	{ops: onCompose, status: http.StatusBadRequest, text: "does not match the specified networks", kind: fault.Refused, reason: fault.ReasonNetworkRefused},
	{ops: onCompose, status: http.StatusBadRequest, text: "must be on a known host if interfaces", kind: fault.Refused, reason: fault.ReasonNetworkRefused},
	{ops: onCompose, status: http.StatusBadRequest, text: "MAAS DHCP must be enabled", kind: fault.Refused, reason: fault.ReasonNetworkRefused},
	{ops: onCompose, status: http.StatusBadRequest, text: "does not support composability", kind: fault.Refused, reason: fault.ReasonLXDHostUnavailable},
	{ops: onCompose, status: http.StatusBadRequest, kind: fault.Refused, reason: fault.ReasonVMCompositionFailed},
	{ops: onCompose, status: http.StatusForbidden, kind: fault.Refused, reason: fault.ReasonVMCompositionFailed},
	{ops: onCompose, status: http.StatusNotFound, text: "Not Found", kind: fault.Refused, reason: fault.ReasonLXDHostUnavailable, say: "MAAS has no such VM host"},
	{ops: onCompose, status: http.StatusNotFound, text: "matches the given query", kind: fault.Refused, reason: fault.ReasonLXDHostUnavailable, say: "MAAS has no such VM host"},
	{ops: onCompose, status: http.StatusServiceUnavailable, again: true, kind: fault.Refused, reason: fault.ReasonLXDHostUnavailable},
	{ops: onCompose, status: http.StatusServiceUnavailable, text: "overcommit ratio", kind: fault.Refused, reason: fault.ReasonHostOvercommitted},
	{ops: onCompose, status: http.StatusServiceUnavailable, text: "Not enough storage space", kind: fault.Refused, reason: fault.ReasonStorageExhausted},
	{ops: onCompose, status: http.StatusServiceUnavailable, text: "Not enough space in default storage pool", kind: fault.Refused, reason: fault.ReasonStorageExhausted},
	{ops: onCompose, status: http.StatusServiceUnavailable, text: "Default storage pool", kind: fault.Refused, reason: fault.ReasonStorageExhausted},
	{ops: onCompose, status: http.StatusServiceUnavailable, text: "Failed to connect to the LXD REST API", kind: fault.Refused, reason: fault.ReasonLXDHostUnavailable},
	{ops: onCompose, status: http.StatusServiceUnavailable, text: "Certificate is not trusted", kind: fault.Refused, reason: fault.ReasonLXDHostUnavailable},
	// MAAS runs the whole view again on a conflict, LXD's part included.
	{ops: onCompose, status: http.StatusConflict, kind: fault.Unavailable, reason: fault.ReasonOutcomeUnknown},
}

var machineRules = []rule{
	// MAAS says the same, nothing, of a locked machine and of another user's.
	{ops: onMachine, status: http.StatusForbidden, text: emptyBody, kind: fault.Busy, reason: fault.ReasonMachineLocked, say: "the machine is locked, or another user's"},
	{ops: onVMHosts, status: http.StatusNotFound, text: "Not Found", kind: fault.NotFound, reason: fault.ReasonMachineNotFound, say: "MAAS has no such VM host"},
	{ops: onVMHosts, status: http.StatusNotFound, text: "No Pod matches", kind: fault.NotFound, reason: fault.ReasonMachineNotFound, say: "MAAS has no such VM host"},
	{ops: []string{opRefresh.name}, status: http.StatusServiceUnavailable, again: true, kind: fault.Busy, reason: fault.ReasonMAASBusy},
	{ops: []string{opRefresh.name}, status: http.StatusServiceUnavailable, kind: fault.Unavailable, reason: fault.ReasonHostUnreachable},
	{status: http.StatusNotFound, text: "No Machine matches", kind: fault.NotFound, reason: fault.ReasonMachineNotFound},
	{status: http.StatusNotFound, text: "No Node matches", kind: fault.NotFound, reason: fault.ReasonMachineNotFound},

	{ops: onAllocate, status: http.StatusConflict, again: true, kind: fault.Busy, reason: fault.ReasonMAASBusy, say: "MAAS's database is contended"},
	{ops: []string{opClaim.name}, status: http.StatusConflict, kind: fault.Conflict, reason: fault.ReasonNameTaken},
	{ops: []string{opAllocate.name}, status: http.StatusConflict, kind: fault.NoRoom, reason: fault.ReasonNoMachineAvailable},
	{ops: onLists, status: http.StatusBadRequest, text: "No such zone", kind: fault.NoCandidate, reason: fault.ReasonZoneNotFound},
	{ops: onLists, status: http.StatusBadRequest, text: "No such pool", kind: fault.NoCandidate, reason: fault.ReasonPoolNotFound},
	{ops: onLists, status: http.StatusBadRequest, text: "No such tag", kind: fault.NoCandidate, reason: fault.ReasonNoHostMatches},
	{ops: onLists, status: http.StatusBadRequest, text: "No such constraint", kind: fault.Unsupported, reason: fault.ReasonNotSupported},

	{ops: []string{opDeploy.name}, status: http.StatusBadRequest, text: "is not a valid distro_series", kind: fault.Invalid, reason: fault.ReasonImageNotFound},
	{ops: []string{opDeploy.name}, status: http.StatusBadRequest, text: "is unavailable", kind: fault.Invalid, reason: fault.ReasonImageNotFound},
	// What follows could be a line of the user data.
	{ops: []string{opDeploy.name}, status: http.StatusBadRequest, text: "Failed to render preseed", kind: fault.Invalid, reason: fault.ReasonDeploymentRefused, say: "MAAS can't render the machine's preseed; its log says why"},
	{ops: []string{opDeploy.name}, status: http.StatusBadRequest, kind: fault.Invalid, reason: fault.ReasonDeploymentRefused},
	{ops: []string{opDeploy.name}, status: http.StatusConflict, text: "belonging to another user", kind: fault.Conflict, reason: fault.ReasonNameTaken},

	{ops: []string{opPower.name}, status: http.StatusServiceUnavailable, again: true, kind: fault.Busy, reason: fault.ReasonMAASBusy},
	{ops: []string{opPower.name}, status: http.StatusInternalServerError, text: plainBody, kind: fault.Unavailable, reason: fault.ReasonHostUnreachable},
	{ops: []string{opPower.name}, status: http.StatusServiceUnavailable, text: plainBody, kind: fault.Unavailable, reason: fault.ReasonHostUnreachable},
	{ops: []string{opPower.name}, status: http.StatusGatewayTimeout, text: plainBody, kind: fault.Unavailable, reason: fault.ReasonHostUnreachable},

	{ops: []string{opAnnotate.name}, status: http.StatusInternalServerError, text: "Invalid character in key name", kind: fault.Invalid, reason: fault.ReasonBadRequest},
	{ops: onMachine, status: http.StatusConflict, again: true, kind: fault.Busy, reason: fault.ReasonMAASBusy, say: "MAAS's database is contended"},
	{ops: onMachine, status: http.StatusConflict, kind: fault.Busy, reason: fault.ReasonNotReady},
}

var networkRules = []rule{
	{ops: onMachine, status: http.StatusServiceUnavailable, text: "address exhaustion", kind: fault.NoRoom, reason: fault.ReasonAddressesExhausted},
	{ops: onLinks, status: http.StatusNotFound, text: "IP address is already in use", kind: fault.Invalid, reason: fault.ReasonStaticIPTaken},
	{ops: onLinks, status: http.StatusNotFound, text: "No Interface matches", kind: fault.NotFound, reason: fault.ReasonMachineNotFound},
	{ops: onLinks, status: http.StatusBadRequest, text: "None found with id=", kind: fault.Invalid, reason: fault.ReasonSubnetNotFound},
	{ops: onLinks, status: http.StatusBadRequest, text: "inside a dynamic range", kind: fault.Invalid, reason: fault.ReasonStaticIPInvalid},
	{ops: onLinks, status: http.StatusBadRequest, text: "not in the given subnet", kind: fault.Invalid, reason: fault.ReasonStaticIPInvalid},
	{ops: onLinks, status: http.StatusBadRequest, text: "Enter a valid IPv4 or IPv6 address", kind: fault.Invalid, reason: fault.ReasonStaticIPInvalid},
	{ops: onLinks, status: http.StatusBadRequest, text: "Cannot set as default gateway", kind: fault.Invalid, reason: fault.ReasonStaticIPGatewayMismatch},
	{status: http.StatusNotFound, text: "No Subnet matches", kind: fault.Invalid, reason: fault.ReasonSubnetNotFound},
}

var recordRules = []rule{
	{status: http.StatusNotFound, text: "No Domain matches", kind: fault.Invalid, reason: fault.ReasonDomainNotFound},
	{status: http.StatusNotFound, text: "No DNSResource matches", kind: fault.NotFound, reason: fault.ReasonEndpointNotFound},
	{ops: []string{opRecordCreate.name}, status: http.StatusBadRequest, text: "Labels must be unique within their zone", kind: fault.Conflict, reason: fault.ReasonNameTaken},
	{status: http.StatusBadRequest, text: "CNAME present", kind: fault.Conflict, reason: fault.ReasonNameTaken},
	{ops: []string{opAddressFree.name}, status: http.StatusBadRequest, text: "does not exist, is not the correct type of address", kind: fault.NotFound, reason: fault.ReasonEndpointNotFound},
}

const (
	// emptyBody and plainBody stand in a rule's text for the absence of a body, and for one that MAAS
	// itself wrote rather than a proxy's page.
	emptyBody = "\x00empty"
	plainBody = "\x00plain"
)

func (r *rule) matches(ex *exchange) bool {
	if r.status != 0 && r.status != ex.status || r.again && ex.retryAfter == 0 {
		return false
	}
	if len(r.ops) > 0 && !slices.Contains(r.ops, ex.op.name) {
		return false
	}
	switch r.text {
	case "":
		return true
	case emptyBody:
		return strings.TrimSpace(ex.refusal) == ""
	case plainBody:
		return strings.HasPrefix(ex.contentType, "text/plain")
	default:
		return !ex.isPage() && strings.Contains(ex.refusal, r.text)
	}
}

// isPage says that the body is a page for people, from a proxy or from Django, whose words say
// nothing of the object that was asked for.
func (ex *exchange) isPage() bool {
	return strings.HasPrefix(ex.contentType, "text/html") && ex.status != http.StatusUnauthorized
}

// fault gives what the exchange means. cause is the library's error, of which only transport errors
// are kept: the others repeat key or body.
func (ex *exchange) fault(ctx context.Context, cause error, key string) error {
	if ex.status == 0 {
		return ex.unanswered(ctx, cause, key)
	}
	if ex.status >= 200 && ex.status <= 299 {
		return ex.unavailable().because("%s: MAAS's answer can't be read: %s", ex.op.name, sentence(cause.Error(), key))
	}
	for i := range rules {
		if r := &rules[i]; r.matches(ex) {
			said := r.say
			if said == "" {
				said = ex.said(key)
			}
			return fault.New(r.kind, r.reason, "%s: %s (HTTP %d)", ex.op.name, said, ex.status).WithRetryAfter(ex.retryAfter)
		}
	}
	return ex.otherwise(key)
}

// unanswered is for requests without a whole answer. A broken connection's error may repeat bytes
// that came over it, so only its cleaned text is kept, and of a context's error all.
func (ex *exchange) unanswered(ctx context.Context, cause error, key string) error {
	if wrapped, ok := errors.AsType[*url.Error](cause); ok {
		cause = wrapped.Err // the outer text repeats the URL with all ids
	}
	cause = errors.New(sentence(cause.Error(), key))
	if ctx.Err() != nil {
		cause = ctx.Err()
	}
	if !ex.connected.Load() {
		return fault.Wrap(cause, fault.Unavailable, fault.ReasonMAASUnavailable, "%s: MAAS can't be reached", ex.op.name)
	}
	g := ex.unavailable()
	return fault.Wrap(cause, g.kind, g.reason, "%s: MAAS gave no answer", ex.op.name)
}

// otherwise is for answers that no rule knows. A 4xx says that MAAS did not do it; after anything
// else a change may have been made.
func (ex *exchange) otherwise(key string) error {
	said := ex.said(key)
	if ex.op.private {
		said = ex.statusText()
	}
	switch {
	case ex.status < 400:
		return fault.New(fault.Unavailable, fault.ReasonMAASUnavailable,
			"%s: MAAS redirects; its URL must be the one that it redirects to, with TLS the https one (HTTP %d)", ex.op.name, ex.status)
	case ex.op.changes && ex.op.outside, ex.status >= 500, ex.isPage():
		return ex.unavailable().because("%s: %s (HTTP %d)", ex.op.name, said, ex.status).WithRetryAfter(ex.retryAfter)
	case ex.status == http.StatusNotFound, ex.status == http.StatusTooManyRequests:
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
	if ex.op.changes {
		return ground{fault.Unavailable, fault.ReasonOutcomeUnknown}
	}
	return ground{fault.Unavailable, fault.ReasonMAASUnavailable}
}

func (g ground) because(format string, args ...any) *fault.Error {
	return fault.New(g.kind, g.reason, format, args...)
}

// mayRepeat says whether the same request may be sent again: a read whose failure means nothing, or a
// change of which MAAS says that its transaction came to nothing.
func (ex *exchange) mayRepeat() bool {
	if !ex.sent || ex.op.unrepeated {
		return false
	}
	if ex.op.changes {
		return !ex.op.outside && ex.status == http.StatusConflict && ex.retryAfter > 0
	}
	return ex.status == 0 || ex.status >= 500 || ex.status == http.StatusConflict && ex.retryAfter > 0
}

// said is MAAS's own sentence in one short line.
func (ex *exchange) said(key string) string {
	if ex.isPage() || strings.TrimSpace(ex.refusal) == "" {
		return ex.statusText()
	}
	return sentence(ex.refusal, key)
}

func (ex *exchange) statusText() string { return strings.ToLower(http.StatusText(ex.status)) }

// maxSentence is how much of MAAS's words an error repeats, in bytes.
const maxSentence = 300

// sentence makes one line of a text and takes every part of the key out of it.
func sentence(text, key string) string {
	for _, part := range append([]string{key}, strings.Split(key, ":")...) {
		if part != "" {
			text = strings.ReplaceAll(text, part, "[redacted]")
		}
	}
	text = strings.Join(strings.Fields(strings.ToValidUTF8(text, "?")), " ")
	if len(text) > maxSentence {
		text = strings.ToValidUTF8(text[:maxSentence], "") + "..."
	}
	return text
}

// whyUnauthorized says in words of ours why MAAS refused a key. MAAS's own can't be repeated: they
// hold the secret that would have been right.
func whyUnauthorized(body []byte) string {
	text := string(body)
	for _, known := range []struct{ text, say string }{
		{"Invalid API key", "MAAS knows no such API key (consumer)"},
		{"Invalid access token", "MAAS knows no such API key (token)"},
		{"Invalid signature", "the secret of the MAAS API key is wrong"},
		{"Expired timestamp", "our clock is more than 5 minutes behind MAAS's"},
		{"Nonce already used", "MAAS has seen this request before"},
	} {
		if strings.Contains(text, known.text) {
			return known.say
		}
	}
	return "MAAS refuses the API key"
}
