package maas

import (
	"net/http"
	"slices"
	"strings"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
)

// MAAS says what went wrong by status, Retry-After and a sentence, and the same status means
// different things for different operations. This file turns that into faults. Nowhere else in the
// service is an error looked at by its text; sentences_test.go has one line for each sentence.

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
	onCompose = []string{opCompose.name}
	onMachine = []string{opDelete.name, opDeploy.name, opRelease.name, opAbort.name, opAnnotate.name, opLink.name, opSwap.name, opPowerOn.name}
	onVMHosts = []string{opVMHosts.name, opVMHost.name, opVMHostParams.name, opRefresh.name, opCompose.name}
	onLXD     = []string{opCompose.name, opRefresh.name}
	onLists   = []string{opMachines.name, opByName.name, opAllocate.name, opClaim.name}
	onPower   = []string{opDeploy.name, opRelease.name, opAbort.name, opPowerOn.name}
	onRecords = []string{opRecordCreate.name, opRecordUpdate.name}
	onLinks   = []string{opLink.name}
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
		// What 3.5 and later say of an OAuth header that lacks a part.
		{status: http.StatusBadRequest, text: badHeader, kind: fault.Denied, reason: fault.ReasonMAASKeyRefused, say: "MAAS can't read the Authorization header; does a proxy change it?"},
		{status: http.StatusMethodNotAllowed, kind: fault.Unsupported, reason: fault.ReasonNotSupported, say: "MAAS, or a proxy before it, does not take this method there"},
		{status: http.StatusProxyAuthRequired, kind: fault.Unavailable, reason: fault.ReasonMAASUnavailable, say: "a proxy before MAAS wants a user and password"},
		{ops: []string{opDeploy.name}, status: http.StatusRequestEntityTooLarge, kind: fault.Invalid, reason: fault.ReasonBadUserData, say: "the user data is larger than MAAS, or a proxy before it, takes"},
		{ops: onVMHosts, status: http.StatusGone, text: ownBody, kind: fault.Unsupported, reason: fault.ReasonMAASVMHostRemoved, say: "this MAAS has no VM hosts any more"},
		// MAAS runs the whole view again on a conflict, LXD's part included.
		{ops: onLXD, status: http.StatusConflict, kind: fault.Unavailable, reason: fault.ReasonOutcomeUnknown},
		{status: http.StatusConflict, again: true, kind: fault.Busy, reason: fault.ReasonMAASBusy, say: "MAAS's database is contended"},
	},
	composeRules, machineRules, networkRules, recordRules,
	[]rule{
		{status: http.StatusServiceUnavailable, again: true, text: noRack, kind: fault.Busy, reason: fault.ReasonMAASBusy},
		{status: http.StatusServiceUnavailable, again: true, text: failedProgram, kind: fault.Busy, reason: fault.ReasonMAASBusy},
		// MAAS 3.8 says nothing of VM hosts to who may not change them. All hosts refuse such a key, so another one is no way out.
		{ops: onVMHosts, status: http.StatusForbidden, text: emptyBody, kind: fault.Denied, reason: fault.ReasonMAASRightsMissing, say: "the MAAS key's user lacks the right to change VM hosts"},
		{status: http.StatusForbidden, text: ownBody, kind: fault.Denied, reason: fault.ReasonMAASRightsMissing},
	},
)

// composeRules: Refused, which lets a controller try another host at once, is said only where nothing
// usable was made (rule 2.4 of docs/protocol-coverage.md). The form is checked before
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
	{ops: onCompose, status: http.StatusBadRequest, text: ownBody, kind: fault.Refused, reason: fault.ReasonVMCompositionFailed},
	{ops: onCompose, status: http.StatusNotFound, text: notFound, kind: fault.Refused, reason: fault.ReasonLXDHostUnavailable, say: "MAAS has no such VM host"},
	{ops: onCompose, status: http.StatusNotFound, text: "No Pod matches", kind: fault.Refused, reason: fault.ReasonLXDHostUnavailable, say: "MAAS has no such VM host"},
	{ops: onCompose, status: http.StatusServiceUnavailable, again: true, text: noRack, kind: fault.Refused, reason: fault.ReasonLXDHostUnavailable},
	{ops: onCompose, status: http.StatusServiceUnavailable, text: "overcommit ratio", kind: fault.Refused, reason: fault.ReasonHostOvercommitted},
	{ops: onCompose, status: http.StatusServiceUnavailable, text: "Not enough storage space", kind: fault.Refused, reason: fault.ReasonStorageExhausted},
	{ops: onCompose, status: http.StatusServiceUnavailable, text: "Not enough space in default storage pool", kind: fault.Refused, reason: fault.ReasonStorageExhausted},
	{ops: onCompose, status: http.StatusServiceUnavailable, text: "Default storage pool", kind: fault.Refused, reason: fault.ReasonStorageExhausted},
	{ops: onCompose, status: http.StatusServiceUnavailable, text: lxdSilent, kind: fault.Refused, reason: fault.ReasonLXDHostUnavailable},
	{ops: onCompose, status: http.StatusServiceUnavailable, text: lxdDistrusts, kind: fault.Refused, reason: fault.ReasonLXDHostUnavailable},
	// LXD looks at the configuration before it makes anything. MAAS sends no other key of which that is known.
	{ops: onCompose, status: http.StatusServiceUnavailable, text: lxdTooNew, kind: fault.Refused, reason: fault.ReasonLXDTooNewForMAAS, say: "LXD 6.7 and later refuse what MAAS sends (security.secureboot)"},
	// A program that MAAS ran may have failed after LXD's part.
	{ops: onCompose, status: http.StatusServiceUnavailable, kind: fault.Unavailable, reason: fault.ReasonOutcomeUnknown},
}

var machineRules = []rule{
	// MAAS says the same, nothing, of a locked machine and of another user's.
	{ops: onLinks, status: http.StatusForbidden, text: emptyBody, kind: fault.Busy, reason: fault.ReasonMachineLocked, say: "the machine is locked, or another user's, or the key's user is no administrator"},
	{ops: onMachine, status: http.StatusForbidden, text: emptyBody, kind: fault.Busy, reason: fault.ReasonMachineLocked, say: "the machine is locked, or another user's"},
	{ops: onVMHosts, status: http.StatusNotFound, text: notFound, kind: fault.NotFound, reason: fault.ReasonMachineNotFound, say: "MAAS has no such VM host"},
	{ops: onVMHosts, status: http.StatusNotFound, text: "No Pod matches", kind: fault.NotFound, reason: fault.ReasonMachineNotFound, say: "MAAS has no such VM host"},
	{ops: []string{opRefresh.name}, status: http.StatusServiceUnavailable, again: true, text: noRack, kind: fault.Busy, reason: fault.ReasonMAASBusy},
	{ops: []string{opRefresh.name}, status: http.StatusServiceUnavailable, text: "No rack controllers connected", kind: fault.Busy, reason: fault.ReasonMAASBusy},
	{ops: []string{opRefresh.name}, status: http.StatusServiceUnavailable, text: lxdSilent, kind: fault.Unavailable, reason: fault.ReasonHostUnreachable},
	{ops: []string{opRefresh.name}, status: http.StatusServiceUnavailable, text: lxdDistrusts, kind: fault.Unavailable, reason: fault.ReasonHostUnreachable},
	// Of a discovery that ran out of its 120 s MAAS has no words.
	{ops: []string{opRefresh.name}, status: http.StatusServiceUnavailable, text: plainEmpty, kind: fault.Unavailable, reason: fault.ReasonHostUnreachable, say: "LXD did not answer MAAS in time"},
	{ops: []string{opRefresh.name}, status: http.StatusServiceUnavailable, kind: fault.Unavailable, reason: fault.ReasonOutcomeUnknown},
	{status: http.StatusNotFound, text: "No Machine matches", kind: fault.NotFound, reason: fault.ReasonMachineNotFound},
	{status: http.StatusNotFound, text: "No Node matches", kind: fault.NotFound, reason: fault.ReasonMachineNotFound},

	{ops: []string{opClaim.name}, status: http.StatusConflict, text: ownBody, kind: fault.Conflict, reason: fault.ReasonNameTaken},
	{ops: []string{opAllocate.name}, status: http.StatusConflict, text: ownBody, kind: fault.NoRoom, reason: fault.ReasonNoMachineAvailable},
	{ops: onLists, status: http.StatusBadRequest, text: "No such zone", kind: fault.NoCandidate, reason: fault.ReasonZoneNotFound},
	{ops: onLists, status: http.StatusBadRequest, text: "No such pool", kind: fault.NoCandidate, reason: fault.ReasonPoolNotFound},
	{ops: onLists, status: http.StatusBadRequest, text: "No such tag", kind: fault.NoCandidate, reason: fault.ReasonNoHostMatches},
	{ops: onLists, status: http.StatusBadRequest, text: "No such constraint", kind: fault.Unsupported, reason: fault.ReasonNotSupported},

	{ops: []string{opDeploy.name}, status: http.StatusBadRequest, text: "is not a valid distro_series", kind: fault.Invalid, reason: fault.ReasonImageNotFound},
	{ops: []string{opDeploy.name}, status: http.StatusBadRequest, text: "is unavailable", kind: fault.Invalid, reason: fault.ReasonImageNotFound},
	// What follows could be a line of the user data.
	{ops: []string{opDeploy.name}, status: http.StatusBadRequest, text: "Failed to render preseed", kind: fault.Invalid, reason: fault.ReasonDeploymentRefused, say: "MAAS can't render the machine's preseed; its log says why"},
	{ops: []string{opDeploy.name}, status: http.StatusBadRequest, text: ownBody, kind: fault.Invalid, reason: fault.ReasonDeploymentRefused},
	{ops: []string{opDeploy.name}, status: http.StatusConflict, text: "belonging to another user", kind: fault.Conflict, reason: fault.ReasonNameTaken},

	// A 500 is MAAS's own: whatever stands before it says 502 to 504. Its text is the power driver's, which
	// from MAAS 3.5 on may be no more than "exit status 1".
	{ops: []string{opPower.name}, status: http.StatusInternalServerError, text: plainBody, kind: fault.Unavailable, reason: fault.ReasonHostUnreachable},
	{ops: []string{opPower.name}, status: http.StatusServiceUnavailable, text: "No rack controllers can access the BMC", kind: fault.Unavailable, reason: fault.ReasonHostUnreachable},
	{ops: []string{opPower.name}, status: http.StatusGatewayTimeout, text: "Unexpected exception: TimeoutError", kind: fault.Unavailable, reason: fault.ReasonHostUnreachable, say: "LXD did not answer MAAS in time"},

	{ops: []string{opAnnotate.name}, status: http.StatusInternalServerError, text: "Invalid character in key name", kind: fault.Invalid, reason: fault.ReasonBadRequest},
	{ops: []string{opLink.name}, status: http.StatusConflict, text: "reserved", kind: fault.Invalid, reason: fault.ReasonStaticIPTaken},
	// MAAS 3.4 and 3.5 say so after the commit, and bring the machine back to the state of before: whoever comes again reads it first.
	{ops: onPower, status: http.StatusServiceUnavailable, text: "another action is already in progress", kind: fault.Busy, reason: fault.ReasonNotReady},
	{ops: onMachine, status: http.StatusConflict, text: ownBody, kind: fault.Busy, reason: fault.ReasonNotReady},
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
	// MAAS reads the addresses before it writes anything.
	{ops: onRecords, status: http.StatusInternalServerError, text: "failed to detect a valid IP address", kind: fault.Invalid, reason: fault.ReasonBadRequest},
	{status: http.StatusNotFound, text: "No Domain matches", kind: fault.Invalid, reason: fault.ReasonDomainNotFound},
	{status: http.StatusNotFound, text: "No DNSResource matches", kind: fault.NotFound, reason: fault.ReasonEndpointNotFound},
	{ops: []string{opRecordCreate.name}, status: http.StatusBadRequest, text: "Labels must be unique within their zone", kind: fault.Conflict, reason: fault.ReasonNameTaken},
	{status: http.StatusBadRequest, text: "CNAME present", kind: fault.Conflict, reason: fault.ReasonNameTaken},
	{ops: []string{opAddressFree.name}, status: http.StatusBadRequest, text: "does not exist, is not the correct type of address", kind: fault.NotFound, reason: fault.ReasonEndpointNotFound},
}

// What stands in a rule's text for more than words.
const (
	// emptyBody is the absence of a body.
	emptyBody = "\x00empty"
	// plainBody is a plain text.
	plainBody = "\x00plain"
	// plainEmpty is the plain text that MAAS makes of an error without words.
	plainEmpty = "\x00plain empty"
	// ownBody is anything but a page of a proxy: a text, a form's errors, or nothing.
	ownBody = "\x00own"
	// notFound is a body that says this and no more; a proxy's may begin with it.
	notFound = "Not Found"
	// noRack is what MAAS says before it has asked a rack controller for anything.
	noRack = "no connections available"
	// failedProgram is what MAAS says of a program that it ran.
	failedProgram = "returned non-zero exit status"
	// lxdSilent and lxdDistrusts are what MAAS says of an LXD that it can't work with.
	lxdSilent    = "Failed to connect to the LXD REST API"
	lxdDistrusts = "Certificate is not trusted"
	// lxdTooNew is the whole of what MAAS says of an LXD from 6.7 on.
	lxdTooNew = `Unable to compose machine because: Failed creating instance record: Unknown configuration key: "security.secureboot"`
	// badHeader begins, within quotes, what MAAS says of an Authorization header; a proxy's words for an
	// ill-formed request hold it in their middle.
	badHeader = "Bad Request: "
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
	case notFound, lxdTooNew:
		return strings.TrimSpace(ex.refusal) == r.text
	case badHeader:
		return !ex.isPage() && strings.HasPrefix(strings.TrimLeft(ex.refusal, `'"`), badHeader)
	case emptyBody:
		return strings.TrimSpace(ex.refusal) == ""
	case plainEmpty:
		return strings.HasPrefix(ex.contentType, "text/plain") && strings.TrimSpace(ex.refusal) == ""
	case ownBody:
		return !ex.isPage()
	case plainBody:
		return strings.HasPrefix(ex.contentType, "text/plain")
	default:
		return !ex.isPage() && strings.Contains(ex.refusal, r.text)
	}
}
