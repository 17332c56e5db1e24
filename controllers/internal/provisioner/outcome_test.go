package provisioner_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/capmaas/capmaas/controllers/internal/provisioner"
	"github.com/capmaas/capmaas/proto/errorinfo"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// answer is an error with an ErrorInfo.
func answer(t *testing.T, code codes.Code, domain, reason, kind string, more ...protoadapt.MessageV1) error {
	t.Helper()
	info := &errdetails.ErrorInfo{Domain: domain, Reason: reason, Metadata: map[string]string{errorinfo.KindKey: kind}}
	st, err := status.New(code, "what happened").WithDetails(append([]protoadapt.MessageV1{info}, more...)...)
	require.NoError(t, err)
	return st.Err()
}

func TestOf_reads_every_kind(t *testing.T) {
	t.Parallel()
	d := provisioner.DefaultDelays()
	want := map[errorinfo.Kind]struct {
		reason lxdprovisionerv1.Reason
		action provisioner.Action
		delay  time.Duration
		absent bool
	}{
		errorinfo.Invalid:     {lxdprovisionerv1.Reason_REASON_IMAGE_NOT_FOUND, provisioner.Blocked, d.Blocked, false},
		errorinfo.NotFound:    {lxdprovisionerv1.Reason_REASON_VM_NOT_FOUND, provisioner.Blocked, d.Blocked, true},
		errorinfo.NoCandidate: {lxdprovisionerv1.Reason_REASON_NO_HOST_IN_POOL, provisioner.Blocked, d.Slow, false},
		errorinfo.NoRoom:      {lxdprovisionerv1.Reason_REASON_INSUFFICIENT_RESOURCES, provisioner.Retry, 0, false},
		errorinfo.Busy:        {lxdprovisionerv1.Reason_REASON_COMPOSITION_IN_PROGRESS, provisioner.Wait, d.Busy, false},
		errorinfo.Refused:     {lxdprovisionerv1.Reason_REASON_LXD_HOST_UNAVAILABLE, provisioner.NextAttempt, time.Second, false},
		errorinfo.Unavailable: {lxdprovisionerv1.Reason_REASON_MAAS_UNAVAILABLE, provisioner.Retry, 0, false},
		errorinfo.Conflict:    {lxdprovisionerv1.Reason_REASON_NAME_TAKEN, provisioner.NextAttempt, time.Second, false},
		errorinfo.Denied:      {lxdprovisionerv1.Reason_REASON_MAAS_KEY_REFUSED, provisioner.Blocked, d.Slow, false},
		errorinfo.Unsupported: {lxdprovisionerv1.Reason_REASON_MAAS_VMHOST_REMOVED, provisioner.Blocked, d.Blocked, false},
		errorinfo.Forbidden:   {lxdprovisionerv1.Reason_REASON_CALLER_NOT_ALLOWED, provisioner.Blocked, d.Slow, false},
		errorinfo.Internal:    {lxdprovisionerv1.Reason_REASON_INTERNAL, provisioner.Retry, 0, false},
	}
	for _, kind := range errorinfo.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			w, ok := want[kind]
			require.True(t, ok, "a new kind needs a row here and a case in outcome.go")
			// The code is the same for all: the kind decides, because Busy and Refused share one.
			got := d.Of(answer(t, codes.Aborted, errorinfo.Domain, errorinfo.Word(w.reason), string(kind)))
			assert.Equal(t, provisioner.Outcome{
				Action: w.action, Reason: errorinfo.Word(w.reason), Message: "what happened", Delay: w.delay, Absent: w.absent,
				Unanswered: w.reason == lxdprovisionerv1.Reason_REASON_MAAS_UNAVAILABLE,
			}, got)
			wrapped := d.Of(fmt.Errorf("while doing something: %w", answer(t, codes.Aborted, errorinfo.Domain, errorinfo.Word(w.reason), string(kind))))
			assert.Equal(t, w.action, wrapped.Action, "wrapping takes nothing away")
		})
	}
}

func TestOf_X9_1_believes_no_code_without_our_domain(t *testing.T) {
	t.Parallel()
	d := provisioner.DefaultDelays()
	for code := codes.Canceled; code <= codes.Unauthenticated; code++ {
		t.Run(code.String(), func(t *testing.T) {
			t.Parallel()
			foreign := map[string]error{
				"no_details":     status.New(code, "the proxy's text").Err(),
				"other_domain":   answer(t, code, "proxy.example", "VM_NOT_FOUND", "NotFound"),
				"unknown_reason": answer(t, code, errorinfo.Domain, "GONE_FISHING", "Refused"),
				"unknown_kind":   answer(t, code, errorinfo.Domain, "VM_NOT_FOUND", "Fishing"),
			}
			for name, err := range foreign {
				got := d.Of(err)
				want := provisioner.Retry
				if code == codes.Aborted {
					want = provisioner.Wait
				}
				assert.Equal(t, want, got.Action, name)
				assert.False(t, got.Absent, name)
				assert.True(t, got.Unanswered, name)
				assert.Equal(t, provisioner.OutcomeUnknownReason, got.Reason, name)
				assert.NotContains(t, got.Message, "text", "a foreign text may hold anything")
			}
		})
	}
	assert.Equal(t, provisioner.Done, d.Of(nil).Action)
	assert.Equal(t, provisioner.Retry, d.Of(errors.New("broken pipe")).Action)
}

func TestOf_waits_as_long_as_the_service_says_but_not_for_hours(t *testing.T) {
	t.Parallel()
	busy := func(after time.Duration) time.Duration {
		err := answer(t, codes.Aborted, errorinfo.Domain, "NOT_READY", "Busy", &errdetails.RetryInfo{RetryDelay: durationpb.New(after)})
		return provisioner.DefaultDelays().Of(err).Delay
	}
	assert.Equal(t, 7*time.Second, busy(7*time.Second))
	assert.Equal(t, 10*time.Minute, busy(9*time.Hour))
}
