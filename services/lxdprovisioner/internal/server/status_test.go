package server_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/capmaas/capmaas/proto/errorinfo"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/placement"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/server"
)

func TestStatusOf_gives_each_kind_its_code(t *testing.T) {
	t.Parallel()
	want := map[fault.Kind]codes.Code{
		fault.Internal: codes.Internal, fault.Invalid: codes.InvalidArgument, fault.NotFound: codes.NotFound,
		fault.NoCandidate: codes.FailedPrecondition, fault.NoRoom: codes.ResourceExhausted, fault.Busy: codes.Aborted,
		fault.Refused: codes.Aborted, fault.Unavailable: codes.Unavailable, fault.Conflict: codes.AlreadyExists,
		fault.Denied: codes.FailedPrecondition, fault.Unsupported: codes.Unimplemented, fault.Forbidden: codes.PermissionDenied,
	}
	kinds := map[errorinfo.Kind]bool{}
	for _, kind := range fault.Kinds() {
		for _, reason := range fault.Reasons() {
			err := server.StatusOf(fmt.Errorf("compose cp-0: %w", fault.New(kind, reason, "it is so")))
			info, ours := errorinfo.From(err)
			require.True(t, ours, "%s %s: %v", kind, reason, err)
			assert.Equal(t, want[kind], status.Code(err), "kind %s", kind)
			assert.Equal(t, kind.String(), string(info.Kind))
			assert.Equal(t, string(reason), errorinfo.Word(info.Reason))
			assert.Equal(t, "compose cp-0: it is so", info.Message)
			kinds[info.Kind] = true
		}
	}
	for _, kind := range errorinfo.Kinds() {
		assert.True(t, kinds[kind], "package fault has no kind %s", kind)
	}
}

func TestReasons_are_those_of_the_contract(t *testing.T) {
	t.Parallel()
	ours := map[string]bool{}
	for _, reason := range fault.Reasons() {
		assert.NotEqual(t, lxdprovisionerv1.Reason_REASON_UNSPECIFIED, errorinfo.ReasonOf(string(reason)), "the contract has no reason %s", reason)
		ours[string(reason)] = true
	}
	for number := range lxdprovisionerv1.Reason_name {
		word := errorinfo.Word(lxdprovisionerv1.Reason(number))
		assert.True(t, number == 0 || ours[word], "package fault has no reason %s", word)
	}
}

func TestStatusOf_says_when_to_come_again(t *testing.T) {
	t.Parallel()
	for _, kind := range fault.Kinds() {
		info, _ := errorinfo.From(server.StatusOf(fault.New(kind, fault.ReasonMAASBusy, "x")))
		assert.Equal(t, kind == fault.Busy || kind == fault.NoRoom, info.RetryAfter > 0, "kind %s", kind)
		info, _ = errorinfo.From(server.StatusOf(fault.New(kind, fault.ReasonMAASBusy, "x").WithRetryAfter(42 * time.Second)))
		if kind != fault.Invalid {
			assert.Equal(t, 42*time.Second, info.RetryAfter, "kind %s", kind)
		}
	}
}

func TestStatusOf_names_the_field_of_an_invalid_request(t *testing.T) {
	t.Parallel()
	info, _ := errorinfo.From(server.StatusOf(fault.New(fault.Invalid, fault.ReasonBadResources, "too small").WithField("resources.memory_mib")))
	assert.Equal(t, map[string]string{"resources.memory_mib": "too small"}, info.Fields)
}

func TestStatusOf_X4_3_names_a_VM_that_may_be_left(t *testing.T) {
	t.Parallel()
	refusal := fault.New(fault.Refused, fault.ReasonVMDeploymentFailed, "it failed")
	info, _ := errorinfo.From(server.StatusOf(refusal))
	assert.NotContains(t, info.Metadata, errorinfo.LeftKey)
	info, _ = errorinfo.From(server.StatusOf(refusal.WithLeft("abc123")))
	assert.Equal(t, "abc123", info.Metadata[errorinfo.LeftKey])
}

func TestStatusOf_explains_every_host_that_does_not_fit(t *testing.T) {
	t.Parallel()
	noFit := &placement.NoFit{Class: placement.NoRoom, Summary: "0 of 2000 hosts fit"}
	for range 2000 {
		noFit.Rejections = append(noFit.Rejections, placement.Rejection{HostID: "vmhost/1", Reason: placement.InsufficientCores})
	}
	info, _ := errorinfo.From(server.StatusOf(fault.New(fault.NoRoom, fault.ReasonInsufficientResources, "no room").WithDetail(noFit)))
	require.NotNil(t, info.Placement)
	assert.Equal(t, "0 of 2000 hosts fit", info.Placement.GetSummary())
	assert.Len(t, info.Placement.GetRejections(), 1000, "a status stays small enough for a trailer")
	assert.Equal(t, lxdprovisionerv1.RejectionReason_REJECTION_REASON_INSUFFICIENT_CORES, info.Placement.GetRejections()[0].GetReason())
}

func TestStatusOf_an_ended_context_is_an_unknown_outcome(t *testing.T) {
	t.Parallel()
	for cause, want := range map[error]codes.Code{context.DeadlineExceeded: codes.DeadlineExceeded, context.Canceled: codes.Canceled} {
		err := server.StatusOf(fmt.Errorf("read the hosts: %w", cause))
		assert.Equal(t, want, status.Code(err))
		_, ours := errorinfo.From(err)
		assert.False(t, ours)
	}
	wrapped := fault.Wrap(context.DeadlineExceeded, fault.Busy, fault.ReasonCompositionInProgress, "it runs on")
	info, ours := errorinfo.From(server.StatusOf(wrapped))
	require.True(t, ours, "a fault wins over the context that caused it")
	assert.Equal(t, errorinfo.Busy, info.Kind)
}

func TestStatusOf_an_error_that_is_no_fault_is_a_defect(t *testing.T) {
	t.Parallel()
	err := server.StatusOf(errors.New("nobody classified this"))
	info, ours := errorinfo.From(err)
	require.True(t, ours)
	assert.Equal(t, codes.Internal, status.Code(err))
	assert.Equal(t, lxdprovisionerv1.Reason_REASON_INTERNAL, info.Reason)
	assert.NoError(t, server.StatusOf(nil))
}

func TestBadRequest_names_all_fields(t *testing.T) {
	t.Parallel()
	err := server.BadRequest("two are wrong", []*errdetails.BadRequest_FieldViolation{
		{Field: "attempt.name", Description: "is no name"}, {Field: "owner", Description: "is required"},
	})
	info, ours := errorinfo.From(err)
	require.True(t, ours)
	assert.Equal(t, codes.InvalidArgument, status.Code(err))
	assert.Equal(t, lxdprovisionerv1.Reason_REASON_BAD_REQUEST, info.Reason)
	assert.Equal(t, map[string]string{"attempt.name": "is no name", "owner": "is required"}, info.Fields)
}
