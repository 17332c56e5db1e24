package provisionertest

import (
	"errors"
	"fmt"
	"time"

	"buf.build/go/protovalidate"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/capmaas/capmaas/proto/errorinfo"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// retryAfter is what RetryInfo says where the fake adds one.
const retryAfter = 5 * time.Second

// codeOf is the contract's table of kinds and codes, written down a second time on purpose: the
// suite compares the service with it.
var codeOf = map[errorinfo.Kind]codes.Code{
	errorinfo.Internal:    codes.Internal,
	errorinfo.Invalid:     codes.InvalidArgument,
	errorinfo.NotFound:    codes.NotFound,
	errorinfo.NoCandidate: codes.FailedPrecondition,
	errorinfo.NoRoom:      codes.ResourceExhausted,
	errorinfo.Busy:        codes.Aborted,
	errorinfo.Refused:     codes.Aborted,
	errorinfo.Unavailable: codes.Unavailable,
	errorinfo.Conflict:    codes.AlreadyExists,
	errorinfo.Denied:      codes.FailedPrecondition,
	errorinfo.Unsupported: codes.Unimplemented,
	errorinfo.Forbidden:   codes.PermissionDenied,
}

// Fault makes an error as the service answers it: the kind's code with our ErrorInfo, and with
// RetryInfo for Busy and NoRoom.
func Fault(kind errorinfo.Kind, reason lxdprovisionerv1.Reason, format string, args ...any) error {
	return fault(kind, reason, fmt.Sprintf(format, args...))
}

// Leaving makes a Refused fault that names the VM which was deleted and is not proved to be gone.
func Leaving(systemID string, reason lxdprovisionerv1.Reason, message string) error {
	st := status.Convert(fault(errorinfo.Refused, reason, message))
	info := st.Details()[0].(*errdetails.ErrorInfo) //nolint:forcetypeassert // fault put it there
	info.Metadata[errorinfo.LeftKey] = systemID
	left, err := status.New(st.Code(), message).WithDetails(info)
	if err != nil {
		panic("a detail of a status can't be marshalled: " + err.Error())
	}
	return left.Err()
}

func fault(kind errorinfo.Kind, reason lxdprovisionerv1.Reason, message string, details ...protoadapt.MessageV1) error {
	all := []protoadapt.MessageV1{&errdetails.ErrorInfo{
		Domain: errorinfo.Domain, Reason: errorinfo.Word(reason), Metadata: map[string]string{errorinfo.KindKey: string(kind)},
	}}
	if kind == errorinfo.Busy || kind == errorinfo.NoRoom {
		all = append(all, &errdetails.RetryInfo{RetryDelay: durationpb.New(retryAfter)})
	}
	st, err := status.New(codeOf[kind], message).WithDetails(append(all, details...)...)
	if err != nil {
		panic("a detail of a status can't be marshalled: " + err.Error())
	}
	return st.Err()
}

// invalid is a fault of kind Invalid about one field.
func invalid(reason lxdprovisionerv1.Reason, field, format string, args ...any) error {
	message := fmt.Sprintf(format, args...)
	return fault(errorinfo.Invalid, reason, message, &errdetails.BadRequest{
		FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: field, Description: message}},
	})
}

// validate checks the rules of the .proto files.
func (f *Fake) validate(request proto.Message) error {
	err := f.validator.Validate(request)
	if err == nil {
		return nil
	}
	bad := &errdetails.BadRequest{}
	if wrong, ok := errors.AsType[*protovalidate.ValidationError](err); ok {
		for _, v := range wrong.Violations {
			bad.FieldViolations = append(bad.FieldViolations, &errdetails.BadRequest_FieldViolation{
				Field: protovalidate.FieldPathString(v.Proto.GetField()), Description: v.Proto.GetMessage(),
			})
		}
	}
	return fault(errorinfo.Invalid, lxdprovisionerv1.Reason_REASON_BAD_REQUEST, err.Error(), bad)
}

// injected is an error that a test asked for.
type injected struct {
	method      string
	err         error
	afterEffect bool
	every       bool
}

// FailNext lets the next call of the method ("ComposeVM") answer err without any effect. Several
// are answered in their order, one a call. A stream fails when it is opened.
func (f *Fake) FailNext(method string, err error) {
	f.inject(&injected{method: method, err: err})
}

// FailNextAfterEffect lets the next call of the method do its work and then answer err: what a
// connection that breaks at the wrong moment looks like.
func (f *Fake) FailNextAfterEffect(method string, err error) {
	f.inject(&injected{method: method, err: err, afterEffect: true})
}

// FailEvery lets every call of the method answer err without any effect, until Heal. The empty
// method means all methods.
func (f *Fake) FailEvery(method string, err error) {
	f.inject(&injected{method: method, err: err, every: true})
}

// Heal takes back every error that FailNext, FailNextAfterEffect and FailEvery left.
func (f *Fake) Heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults, f.delay = nil, 0
}

// DelayNextCompose lets the VM of the next composition appear only after d; until then ComposeVM
// answers COMPOSITION_IN_PROGRESS.
func (f *Fake) DelayNextCompose(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.delay = d
}

// SetProblem lets GetRegion tell of a problem: what MAAS does not allow, or that it is silent. The
// nil error takes it back.
func (f *Fake) SetProblem(problem error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.problem = nil
	if info, ok := errorinfo.From(problem); ok {
		f.problem = &lxdprovisionerv1.GetRegionResponse{
			ServiceVersion: f.config.Version, Problem: info.Message, ProblemReason: errorinfo.Word(info.Reason),
		}
	}
}

func (f *Fake) inject(i *injected) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = append(f.faults, i)
}

// takeFault gives the first fault that fits the method, and forgets it unless it stays.
func (f *Fake) takeFault(method string) *injected {
	for i, fault := range f.faults {
		if fault.method != "" && fault.method != method {
			continue
		}
		if !fault.every {
			f.faults = append(f.faults[:i:i], f.faults[i+1:]...)
		}
		return fault
	}
	return nil
}
