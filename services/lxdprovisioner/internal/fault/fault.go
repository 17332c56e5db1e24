// Package fault is the service's one vocabulary of errors: a kind, which says what a caller may
// do, and a reason, which says what happened. internal/server turns faults into gRPC statuses.
package fault

import (
	"errors"
	"fmt"
	"time"
)

// Kind says what a caller may conclude and do. docs/errors.md has the table.
type Kind int

// The kinds. The zero value is Internal, so that an error nobody classified never looks harmless.
const (
	// Internal is a defect of the service; the outcome is unknown.
	Internal Kind = iota
	// Invalid means that the request is wrong and stays wrong.
	Invalid
	// NotFound means proved absent.
	NotFound
	// NoCandidate means that something must be set up in MAAS first.
	NoCandidate
	// NoRoom means that there is too little of something at this moment.
	NoRoom
	// Busy means that work is under way; the same call later finds it done.
	Busy
	// Refused means that nothing usable was made there and another attempt may be opened.
	Refused
	// Unavailable means that what was sent may be running.
	Unavailable
	// Conflict means that the name is somebody else's.
	Conflict
	// Denied means that MAAS refuses the service's key or its rights.
	Denied
	// Unsupported means that this MAAS or back end can't do it.
	Unsupported
	// Forbidden means that the service doesn't let this caller do it; nothing was done.
	Forbidden
)

var kindNames = map[Kind]string{
	Internal: "Internal", Invalid: "Invalid", NotFound: "NotFound", NoCandidate: "NoCandidate", NoRoom: "NoRoom",
	Busy: "Busy", Refused: "Refused", Unavailable: "Unavailable", Conflict: "Conflict", Denied: "Denied", Unsupported: "Unsupported",
	Forbidden: "Forbidden",
}

// Kinds lists every kind, for tests that walk them.
func Kinds() []Kind {
	return []Kind{Internal, Invalid, NotFound, NoCandidate, NoRoom, Busy, Refused, Unavailable, Conflict, Denied, Unsupported, Forbidden}
}

// String is the name that travels in ErrorInfo.metadata["kind"].
func (k Kind) String() string { return kindNames[k] }

// Error is a fault. Build it with New or Wrap.
type Error struct {
	kind       Kind
	reason     Reason
	message    string
	cause      error
	retryAfter time.Duration
	field      string
	left       string
	detail     any
}

// New makes a fault. The text is lower case and holds the values that matter, never a secret.
func New(kind Kind, reason Reason, format string, args ...any) *Error {
	return &Error{kind: kind, reason: reason, message: fmt.Sprintf(format, args...)}
}

// Wrap makes a fault with a cause, whose text follows the message.
func Wrap(cause error, kind Kind, reason Reason, format string, args ...any) *Error {
	return &Error{kind: kind, reason: reason, message: fmt.Sprintf(format, args...), cause: cause}
}

// WithRetryAfter says how long a caller should wait.
func (e *Error) WithRetryAfter(d time.Duration) *Error { e.retryAfter = d; return e }

// WithField names the field of the request that is wrong, by its path.
func (e *Error) WithField(path string) *Error { e.field = path; return e }

// WithLeft names, by its system id, the VM that was deleted and is not proved to be gone.
func (e *Error) WithLeft(systemID string) *Error { e.left = systemID; return e }

// WithDetail adds a value that the server knows how to turn into a status detail.
func (e *Error) WithDetail(detail any) *Error { e.detail = detail; return e }

// Error is the message and, behind it, the cause.
func (e *Error) Error() string {
	if e.cause == nil {
		return e.message
	}
	return e.message + ": " + e.cause.Error()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.cause }

// Kind gives the kind.
func (e *Error) Kind() Kind { return e.kind }

// Reason gives the reason.
func (e *Error) Reason() Reason { return e.reason }

// RetryAfter gives how long a caller should wait; 0 where nothing is known.
func (e *Error) RetryAfter() time.Duration { return e.retryAfter }

// Field gives the path of the wrong field; empty where there is none.
func (e *Error) Field() string { return e.field }

// Left gives the system id of a VM that was deleted and is not proved to be gone; empty where there is none.
func (e *Error) Left() string { return e.left }

// Detail gives the detail; nil where there is none.
func (e *Error) Detail() any { return e.detail }

// KindOf gives the kind of the outermost fault in err, Internal where there is none.
func KindOf(err error) Kind {
	if f, ok := errors.AsType[*Error](err); ok {
		return f.kind
	}
	return Internal
}

// ReasonOf gives the reason of the outermost fault in err, ReasonInternal where there is none.
func ReasonOf(err error) Reason {
	if f, ok := errors.AsType[*Error](err); ok {
		return f.reason
	}
	return ReasonInternal
}

// Is says whether err is a fault of the kind.
func Is(err error, kind Kind) bool { return err != nil && KindOf(err) == kind }
