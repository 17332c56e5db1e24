package provisioner

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/capmaas/capmaas/proto/errorinfo"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// Action is what the caller does next.
type Action int

const (
	// Done means that the call did what it was asked to.
	Done Action = iota
	// Wait means that MAAS or the service is at it: the same call again after Delay, sooner if something happens.
	Wait
	// Retry means the same call again with growing delays. What was sent may be running.
	Retry
	// NextAttempt means that nothing usable was made: another host with another name.
	NextAttempt
	// Blocked means that somebody has to change something; a look again after Delay.
	Blocked
)

// String gives the action as logs show it.
func (a Action) String() string {
	switch a {
	case Done:
		return "Done"
	case Wait:
		return "Wait"
	case Retry:
		return "Retry"
	case NextAttempt:
		return "NextAttempt"
	case Blocked:
		return "Blocked"
	default:
		return fmt.Sprintf("Action(%d)", int(a))
	}
}

// OutcomeUnknownReason is the condition reason of an error that did not come from our service, so that nothing is known
// of what was done.
const OutcomeUnknownReason = "OUTCOME_UNKNOWN"

// Outcome is what the answer to one call means.
type Outcome struct {
	// Action is what comes next.
	Action Action
	// Reason is the condition's reason; empty for Done.
	Reason string
	// Message is the condition's message: the same for the same cause, without times, counters or secrets.
	Message string
	// Delay is how long to wait; 0 for Done and for Retry, whose delay grows (Backoff).
	Delay time.Duration
	// Unanswered says that MAAS or the service could not be asked, which tells nothing of the thing that was asked for.
	Unanswered bool
	// Absent says that the thing that was asked for is proved not to be there.
	Absent bool
	// Left is the system id of a VM that the service deleted without proof that it is gone; empty where there is none.
	Left string
}

// Is says whether the outcome has this reason.
func (o Outcome) Is(reason lxdprovisionerv1.Reason) bool { return o.Reason == errorinfo.Word(reason) }

// Delays are the waits that do not grow.
type Delays struct {
	// Busy is the wait where the service names none.
	Busy time.Duration
	// Working is the wait between two looks at a machine on which MAAS is at work.
	Working time.Duration
	// Slow is the wait where something must be set up first: a pool, a right, a key.
	Slow time.Duration
	// Blocked is the wait where what was asked for cannot be done as it is.
	Blocked time.Duration
	// Idle is the wait between two looks at a machine on which nothing is expected to happen.
	Idle time.Duration
	// HostLost is how long a host must not have answered before the deletion of a VM on it is handed over.
	HostLost time.Duration
	// Exclusion is how long a host is left out after an attempt on it came to nothing.
	Exclusion time.Duration
	// InFlight is how long a composition that was sent may be under way: the service ends its own call after 150 s.
	InFlight time.Duration
	// PoweringOn is the least time between two requests to switch one machine on.
	PoweringOn time.Duration
	// Composing and Deploying are after how long the condition says that making a VM, or deploying a machine, takes too long.
	Composing, Deploying time.Duration
}

// DefaultDelays are the delays of production. A MAAS takes 2 – 5 minutes to commission and 5 – 15 to deploy, so a look
// every 15 s adds little to either; ten minutes is how soon a repaired cause is seen without anybody touching the object.
func DefaultDelays() Delays {
	return Delays{
		Busy: 5 * time.Second, Working: 15 * time.Second, Slow: 2 * time.Minute,
		Blocked: 10 * time.Minute, Idle: 10 * time.Minute, HostLost: 5 * time.Minute, Exclusion: 30 * time.Minute,
		InFlight: 3 * time.Minute, PoweringOn: 10 * time.Minute, Composing: 15 * time.Minute, Deploying: 30 * time.Minute,
	}
}

// Scaled multiplies every delay, for a MAAS whose time runs faster.
func (d Delays) Scaled(factor float64) Delays {
	scale := func(t time.Duration) time.Duration { return time.Duration(float64(t) * factor) }
	return Delays{
		Busy: scale(d.Busy), Working: scale(d.Working), Slow: scale(d.Slow),
		Blocked: scale(d.Blocked), Idle: scale(d.Idle), HostLost: scale(d.HostLost), Exclusion: scale(d.Exclusion),
		InFlight: scale(d.InFlight), PoweringOn: scale(d.PoweringOn), Composing: scale(d.Composing), Deploying: scale(d.Deploying),
	}
}

// betweenAttempts is the wait before another host is tried. Refusals are no reason to wait: the hosts that refused are left
// out, so that the attempts come to an end by themselves.
const betweenAttempts = time.Second

// NextAttempt is the outcome of something that came to nothing without an error of the service.
func (d Delays) NextAttempt(reason lxdprovisionerv1.Reason, message string) Outcome {
	return Outcome{Action: NextAttempt, Reason: errorinfo.Word(reason), Message: message, Delay: betweenAttempts}
}

// longestRetryInfo bounds what the service may ask for, so that a wrong figure cannot park a machine for hours.
const longestRetryInfo = 10 * time.Minute

// Of reads the answer to a call. Only an error that bears our domain and a known reason is believed; any other is an
// unknown outcome, whatever its code says, because a proxy or another server may have made it.
func (d Delays) Of(err error) Outcome {
	if err == nil {
		return Outcome{Action: Done}
	}
	info, ours := errorinfo.From(err)
	if !ours {
		return d.foreign(err)
	}
	out := Outcome{
		Reason: errorinfo.Word(info.Reason), Message: info.Message, Left: info.Metadata[errorinfo.LeftKey],
		Unanswered: info.Reason == lxdprovisionerv1.Reason_REASON_MAAS_UNAVAILABLE,
	}
	switch info.Kind {
	case errorinfo.Busy:
		out.Action, out.Delay = Wait, d.Busy
		if info.RetryAfter > 0 {
			out.Delay = min(info.RetryAfter, longestRetryInfo)
		}
	case errorinfo.Refused, errorinfo.Conflict:
		out.Action, out.Delay = NextAttempt, betweenAttempts
	case errorinfo.NoRoom, errorinfo.Unavailable, errorinfo.Internal:
		out.Action = Retry
	case errorinfo.NoCandidate, errorinfo.Denied, errorinfo.Forbidden:
		out.Action, out.Delay = Blocked, d.Slow
	case errorinfo.Invalid, errorinfo.Unsupported:
		out.Action, out.Delay = Blocked, d.Blocked
	case errorinfo.NotFound:
		out.Action, out.Delay, out.Absent = Blocked, d.Blocked, true
	}
	return out
}

// foreign is the outcome of an error that our service did not make. Its text is not passed on: whoever made it may have
// put anything into it. ABORTED is what a busy server says, so it is waited for, without believing that nothing was done.
func (d Delays) foreign(err error) Outcome {
	code := status.Code(err)
	out := Outcome{Action: Retry, Reason: OutcomeUnknownReason, Unanswered: true}
	switch code {
	case codes.Unavailable:
		out.Message = "the provisioner cannot be reached; what was sent to it may be under way"
		if handshake, ok := errors.AsType[*HandshakeError](err); ok {
			out.Message = "the provisioner cannot be reached: " + handshake.Advice
		}
	case codes.DeadlineExceeded, codes.Canceled:
		out.Message = "the provisioner did not answer in time; what was sent to it may be under way"
	case codes.Aborted:
		out.Action, out.Delay = Wait, d.Busy
		out.Message = "the provisioner answered ABORTED without saying why; what was sent to it may be under way"
	default:
		out.Message = fmt.Sprintf("the provisioner's answer %s bears no reason that is known; what was sent to it may be under way", code)
	}
	return out
}
