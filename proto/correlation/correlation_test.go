package correlation_test

import (
	"context"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/capmaas/capmaas/proto/correlation"
)

func TestNewContext_takes_only_what_may_stand_in_logs_and_headers(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ id, want string }{
		"a UID":                {"0d6e5b0e-4a2f-4a3b-9a58-0f3a8e6f8d11", "0d6e5b0e-4a2f-4a3b-9a58-0f3a8e6f8d11"},
		"nothing":              {"", ""},
		"too long":             {strings.Repeat("a", 65), ""},
		"a line break":         {"a\nmsg=forged", ""},
		"a quote":              {`a" 200 0`, ""},
		"a space":              {"a b", ""},
		"letters beyond ASCII": {"ä", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := correlation.FromContext(correlation.NewContext(t.Context(), tc.id)); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestInterceptors_carry_the_id_of_a_call(t *testing.T) {
	t.Parallel()
	var sent metadata.MD
	invoke := func(ctx context.Context, _ string, _, _ any, _ *grpc.ClientConn, _ ...grpc.CallOption) error {
		sent, _ = metadata.FromOutgoingContext(ctx)
		return nil
	}
	if err := correlation.UnaryClientInterceptor(correlation.NewContext(t.Context(), "u-1"), "m", nil, nil, nil, invoke); err != nil {
		t.Fatal(err)
	}
	got := ""
	handle := func(ctx context.Context, _ any) (any, error) {
		got = correlation.FromContext(ctx)
		return "answer", nil
	}
	if _, err := correlation.UnaryServerInterceptor(metadata.NewIncomingContext(t.Context(), sent), nil, nil, handle); err != nil {
		t.Fatal(err)
	}
	if got != "u-1" {
		t.Errorf("got %q, want u-1", got)
	}
}
