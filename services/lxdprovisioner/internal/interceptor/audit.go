package interceptor

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/capmaas/capmaas/proto/errorinfo"
)

// audit keeps the record of who changed what: one line for each call that changes something, and for
// each that was refused to its caller, once it has ended. Like the log it takes names and ids alone.
type audit struct {
	logger *slog.Logger
	access *Access
	clock  func() time.Time
}

// newAudit marks the lines, so that they can be told from the rest of the log.
func newAudit(cfg Config) *audit {
	return &audit{logger: cfg.Audit.With("logger", "audit"), access: cfg.Access, clock: cfg.Clock}
}

func (a *audit) unary(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	begun := a.clock()
	response, err := handler(ctx, request)
	if !reads(info.FullMethod, request) || status.Code(err) == codes.PermissionDenied {
		a.write(ctx, info.FullMethod, a.clock().Sub(begun), err, subject(request, response))
	}
	return response, err
}

func (a *audit) stream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	begun := a.clock()
	err := handler(srv, stream)
	if !reads(info.FullMethod, nil) || status.Code(err) == codes.PermissionDenied {
		a.write(stream.Context(), info.FullMethod, a.clock().Sub(begun), err, nil)
	}
	return err
}

func (a *audit) write(ctx context.Context, method string, took time.Duration, err error, of []slog.Attr) {
	attrs := []slog.Attr{slog.String("caller", a.caller(ctx)), slog.String("peer", address(ctx)), slog.String("method", strings.TrimPrefix(method, "/"))}
	attrs = append(attrs, of...)
	attrs = append(attrs, slog.String("code", status.Code(err).String()))
	if info, ours := errorinfo.From(err); ours {
		attrs = append(attrs, slog.String("reason", errorinfo.Word(info.Reason)))
	}
	a.logger.LogAttrs(ctx, slog.LevelInfo, "Answered call that changes something", append(attrs, slog.Duration("took", took))...)
}

// unproved is the caller where the service runs without certificates and anybody may call.
const unproved = "(unproved)"

func (a *audit) caller(ctx context.Context) string {
	if a.access == nil {
		return unproved
	}
	name, _ := a.access.caller(ctx)
	return name
}

func address(ctx context.Context) string {
	caller, ok := peer.FromContext(ctx)
	if !ok || caller.Addr == nil {
		return ""
	}
	return caller.Addr.String()
}
