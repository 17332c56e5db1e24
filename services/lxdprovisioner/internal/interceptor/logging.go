package interceptor

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/capmaas/capmaas/proto/errorinfo"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

func unaryLogging(logger *slog.Logger) grpc.UnaryServerInterceptor {
	return interceptors.UnaryServerInterceptor(callLog(logger))
}

func streamLogging(logger *slog.Logger) grpc.StreamServerInterceptor {
	return interceptors.StreamServerInterceptor(callLog(logger))
}

// callLog writes one line a call, when it has ended. Of the request it takes names and ids alone,
// never the message: that holds join tokens.
func callLog(logger *slog.Logger) interceptors.CommonReportableFunc {
	return func(ctx context.Context, meta interceptors.CallMeta) (interceptors.Reporter, context.Context) {
		// The health service is asked every few seconds by the kubelet, reflection by curious people.
		if strings.HasPrefix(meta.Service, "grpc.") {
			return interceptors.NoopReporter{}, ctx
		}
		keys := append([]slog.Attr{slog.String("method", meta.Method)}, subject(meta.ReqOrNil)...)
		return reporter{end: func(err error, took time.Duration) {
			attrs := append(keys, slog.String("code", status.Code(err).String()), slog.Duration("took", took))
			if err != nil {
				attrs = append(attrs, slog.String("error", status.Convert(err).Message()))
			}
			if info, ours := errorinfo.From(err); ours {
				attrs = append(attrs, slog.String("reason", errorinfo.Word(info.Reason)), slog.String("kind", string(info.Kind)))
			}
			logger.LogAttrs(ctx, levelOf(err), "Answered call", attrs...)
		}}, ctx
	}
}

// reporter is told when the call ends. The messages in between are nobody's business.
type reporter struct {
	interceptors.NoopReporter

	end func(err error, took time.Duration)
}

// PostCall is called when the call has ended.
func (r reporter) PostCall(err error, took time.Duration) { r.end(err, took) }

// levelOf keeps what is usual out of the way: use cases log what they change, and a caller that waits
// asks again and again.
func levelOf(err error) slog.Level {
	switch status.Code(err) {
	case codes.OK, codes.Aborted, codes.Canceled, codes.NotFound:
		return slog.LevelDebug
	case codes.Internal, codes.Unknown, codes.DataLoss:
		return slog.LevelError
	case codes.Unavailable, codes.DeadlineExceeded, codes.FailedPrecondition, codes.Unimplemented:
		return slog.LevelWarn
	default:
		return slog.LevelInfo
	}
}

// subject names what the request is about.
func subject(request any) []slog.Attr {
	var attrs []slog.Attr
	add := func(key, value string) {
		if value != "" {
			attrs = append(attrs, slog.String(key, value))
		}
	}
	if r, ok := request.(interface{ GetVmName() string }); ok {
		add("vm", r.GetVmName())
	}
	if r, ok := request.(interface {
		GetAttempt() *lxdprovisionerv1.Attempt
	}); ok {
		a := r.GetAttempt()
		add("vm", a.GetName())
		add("host", a.GetHostName())
		add("systemID", a.GetSystemId())
		if a.GetNumber() != 0 {
			attrs = append(attrs, slog.Int("attempt", int(a.GetNumber())))
		}
	}
	if r, ok := request.(interface {
		GetMachine() *lxdprovisionerv1.MachineRef
	}); ok {
		add("agentName", r.GetMachine().GetAgentName())
		add("systemID", r.GetMachine().GetSystemId())
	}
	if r, ok := request.(interface {
		GetRef() *lxdprovisionerv1.EndpointRef
	}); ok && r.GetRef() != nil {
		add("endpoint", r.GetRef().GetName()+"."+r.GetRef().GetDomain())
	}
	if r, ok := request.(interface {
		GetOwner() *lxdprovisionerv1.Owner
	}); ok && r.GetOwner() != nil {
		add("maasMachine", r.GetOwner().GetNamespace()+"/"+r.GetOwner().GetMachine())
	}
	return attrs
}
