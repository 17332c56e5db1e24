package server

import (
	"context"
	"errors"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/capmaas/capmaas/proto/errorinfo"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/placement"
)

const (
	// busyRetry is what RetryInfo says of a Busy fault that names no time: work that runs in MAAS
	// moves on within seconds, and a watch tells earlier.
	busyRetry = 5 * time.Second
	// noRoomRetry is the same for NoRoom: room comes when somebody frees it.
	noRoomRetry = 30 * time.Second
)

// codeOf is one half of the contract's table (docs/errors.md); the other half is the caller's.
var codeOf = map[fault.Kind]codes.Code{
	fault.Internal:    codes.Internal,
	fault.Invalid:     codes.InvalidArgument,
	fault.NotFound:    codes.NotFound,
	fault.NoCandidate: codes.FailedPrecondition,
	fault.NoRoom:      codes.ResourceExhausted,
	fault.Busy:        codes.Aborted,
	fault.Refused:     codes.Aborted,
	fault.Unavailable: codes.Unavailable,
	fault.Conflict:    codes.AlreadyExists,
	fault.Denied:      codes.FailedPrecondition,
	fault.Unsupported: codes.Unimplemented,
	fault.Forbidden:   codes.PermissionDenied,
}

// StatusOf turns an error of a use case into a gRPC status. A fault bears our ErrorInfo. An ended
// context without a fault is its own code without ErrorInfo, an unknown outcome for every caller.
// Anything else is a defect of the service.
func StatusOf(err error) error {
	if err == nil {
		return nil
	}
	f, ok := errors.AsType[*fault.Error](err)
	switch {
	case ok:
		return statusOf(f, err.Error())
	case errors.Is(err, context.DeadlineExceeded):
		return status.Error(codes.DeadlineExceeded, err.Error())
	case errors.Is(err, context.Canceled):
		return status.Error(codes.Canceled, err.Error())
	default:
		return statusOf(fault.New(fault.Internal, fault.ReasonInternal, "defect"), err.Error())
	}
}

// BadRequest is the status of a request that breaks rules of the contract, by the fields' paths.
func BadRequest(message string, fields []*errdetails.BadRequest_FieldViolation) error {
	f := fault.New(fault.Invalid, fault.ReasonBadRequest, "%s", message)
	return withDetails(f, message, &errdetails.BadRequest{FieldViolations: fields})
}

// statusOf adds the details that belong to the fault's kind. The message is the whole error's: what
// was tried stands before the fault's own text.
func statusOf(f *fault.Error, message string) error {
	var details []protoadapt.MessageV1
	switch f.Kind() {
	case fault.Invalid:
		details = append(details, &errdetails.BadRequest{
			FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: f.Field(), Description: f.Error()}},
		})
	case fault.Busy:
		details = append(details, retryInfo(f, busyRetry))
	case fault.NoRoom:
		details = append(details, retryInfo(f, noRoomRetry))
	default:
		if f.RetryAfter() > 0 {
			details = append(details, retryInfo(f, 0))
		}
	}
	if noFit, ok := f.Detail().(*placement.NoFit); ok {
		details = append(details, placementFailure(noFit))
	}
	return withDetails(f, message, details...)
}

func withDetails(f *fault.Error, message string, details ...protoadapt.MessageV1) error {
	info := &errdetails.ErrorInfo{
		Domain: errorinfo.Domain, Reason: string(f.Reason()), Metadata: map[string]string{errorinfo.KindKey: f.Kind().String()},
	}
	if f.Left() != "" {
		info.Metadata[errorinfo.LeftKey] = f.Left()
	}
	st, err := status.New(codeOf[f.Kind()], message).WithDetails(append([]protoadapt.MessageV1{info}, details...)...)
	if err != nil {
		return status.Errorf(codes.Internal, "add the details of a fault: %v", err)
	}
	return st.Err()
}

func retryInfo(f *fault.Error, otherwise time.Duration) *errdetails.RetryInfo {
	after := f.RetryAfter()
	if after <= 0 {
		after = otherwise
	}
	return &errdetails.RetryInfo{RetryDelay: durationpb.New(after)}
}

func placementFailure(n *placement.NoFit) *lxdprovisionerv1.PlacementFailure {
	return &lxdprovisionerv1.PlacementFailure{Summary: n.Summary, Rejections: mapped(firstListed(n.Rejections), toRejection)}
}
