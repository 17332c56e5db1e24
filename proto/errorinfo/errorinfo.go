// Package errorinfo is the form in which an error of the service travels in a gRPC status: the
// domain, the reason and the fault kind of an ErrorInfo. The service writes it, callers read it.
package errorinfo

import (
	"slices"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"

	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

const (
	// Domain is the domain of every ErrorInfo of the service.
	Domain = "lxdprovisioner.capmaas.io"
	// KindKey is the metadata key that holds the fault kind.
	KindKey = "kind"
	// LeftKey is the metadata key that holds the system id of a VM that was deleted and is not proved to be gone. MAAS
	// answers 204 also where the VM lives on, so its attempt is cleaned up, with proof, before another one is opened.
	LeftKey = "left"

	reasonPrefix = "REASON_"
)

// Kind is the fault kind as it travels. Code alone doesn't tell: Busy and Refused share ABORTED.
type Kind string

// The kinds, as docs/errors.md lists them.
const (
	Internal    Kind = "Internal"
	Invalid     Kind = "Invalid"
	NotFound    Kind = "NotFound"
	NoCandidate Kind = "NoCandidate"
	NoRoom      Kind = "NoRoom"
	Busy        Kind = "Busy"
	Refused     Kind = "Refused"
	Unavailable Kind = "Unavailable"
	Conflict    Kind = "Conflict"
	Denied      Kind = "Denied"
	Unsupported Kind = "Unsupported"
	Forbidden   Kind = "Forbidden"
)

// Kinds lists every kind.
func Kinds() []Kind {
	return []Kind{Internal, Invalid, NotFound, NoCandidate, NoRoom, Busy, Refused, Unavailable, Conflict, Denied, Unsupported, Forbidden}
}

// Info is what an error of the service says of itself.
type Info struct {
	Kind   Kind
	Reason lxdprovisionerv1.Reason
	// Message is the status's text.
	Message string
	// Metadata is all of ErrorInfo's metadata, the kind among it.
	Metadata map[string]string
	// RetryAfter is how long to wait; 0 where the service doesn't say.
	RetryAfter time.Duration
	// Fields are the wrong fields, by path.
	Fields map[string]string
	// Placement is why no host fits; nil for other errors.
	Placement *lxdprovisionerv1.PlacementFailure
}

// From reads err. It is false, and the outcome of the call unknown, unless the status bears our
// domain, a known reason and a known kind: a proxy or another server may have made any other.
func From(err error) (Info, bool) {
	st, ok := status.FromError(err)
	if !ok || err == nil {
		return Info{}, false
	}
	info, known := Info{Message: st.Message()}, false
	for _, d := range st.Details() {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			info.Kind, info.Metadata = Kind(d.GetMetadata()[KindKey]), d.GetMetadata()
			info.Reason = ReasonOf(d.GetReason())
			known = d.GetDomain() == Domain
		case *errdetails.RetryInfo:
			info.RetryAfter = d.GetRetryDelay().AsDuration()
		case *errdetails.BadRequest:
			info.Fields = map[string]string{}
			for _, v := range d.GetFieldViolations() {
				info.Fields[v.GetField()] = v.GetDescription()
			}
		case *lxdprovisionerv1.PlacementFailure:
			info.Placement = d
		}
	}
	if !known || info.Reason == lxdprovisionerv1.Reason_REASON_UNSPECIFIED || !slices.Contains(Kinds(), info.Kind) {
		return Info{}, false
	}
	return info, true
}

// Word gives the reason as ErrorInfo carries it, without the enum's prefix.
func Word(r lxdprovisionerv1.Reason) string { return strings.TrimPrefix(r.String(), reasonPrefix) }

// ReasonOf gives the reason of ErrorInfo's word, REASON_UNSPECIFIED for a word that is not ours.
func ReasonOf(word string) lxdprovisionerv1.Reason {
	return lxdprovisionerv1.Reason(lxdprovisionerv1.Reason_value[reasonPrefix+word])
}
