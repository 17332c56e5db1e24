package interceptor

import (
	"context"
	"log/slog"
	"slices"
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

// subject names what the messages of one call are about. What is named by more than one is told once,
// as the first says it.
func subject(messages ...any) []slog.Attr {
	var found attributes
	for _, message := range messages {
		found.addNames(message)
		found.addAttempts(message)
		if r, ok := message.(interface {
			GetRef() *lxdprovisionerv1.EndpointRef
		}); ok && r.GetRef() != nil {
			found.add("endpoint", r.GetRef().GetName()+"."+r.GetRef().GetDomain())
		}
		if r, ok := message.(interface {
			GetOwner() *lxdprovisionerv1.Owner
		}); ok && r.GetOwner() != nil {
			found.add("maasMachine", r.GetOwner().GetNamespace()+"/"+r.GetOwner().GetMachine())
		}
	}
	return found
}

// attributes are those of a line of the log.
type attributes []slog.Attr

func (a *attributes) add(key, value string) {
	known := slices.ContainsFunc(*a, func(of slog.Attr) bool { return of.Key == key })
	if value != "" && !known {
		*a = append(*a, slog.String(key, value))
	}
}

// addNames takes the names and ids that are fields of the message itself.
func (a *attributes) addNames(message any) {
	if r, ok := message.(interface{ GetVmName() string }); ok {
		a.add("vm", r.GetVmName())
	}
	if r, ok := message.(interface{ GetAgentName() string }); ok {
		a.add("agentName", r.GetAgentName())
	}
	if r, ok := message.(interface{ GetSystemId() string }); ok {
		a.add("systemID", r.GetSystemId())
	}
	if r, ok := message.(interface {
		GetMachine() *lxdprovisionerv1.MachineRef
	}); ok {
		a.add("agentName", r.GetMachine().GetAgentName())
		a.add("systemID", r.GetMachine().GetSystemId())
	}
	if r, ok := message.(interface {
		GetMachine() *lxdprovisionerv1.Machine
	}); ok {
		a.add("systemID", r.GetMachine().GetSystemId())
	}
	if r, ok := message.(interface {
		GetVm() *lxdprovisionerv1.VM
	}); ok {
		a.add("vm", r.GetVm().GetName())
		a.add("host", r.GetVm().GetHostName())
		a.add("systemID", r.GetVm().GetSystemId())
	}
	if r, ok := message.(interface {
		GetChosen() *lxdprovisionerv1.Candidate
	}); ok {
		a.add("host", r.GetChosen().GetHostName())
	}
}

// addAttempts takes those of the attempts; a deletion has many, each with its own host.
func (a *attributes) addAttempts(message any) {
	if r, ok := message.(interface {
		GetAttempt() *lxdprovisionerv1.Attempt
	}); ok {
		attempt := r.GetAttempt()
		a.add("vm", attempt.GetName())
		a.add("host", attempt.GetHostName())
		a.add("systemID", attempt.GetSystemId())
		if attempt.GetNumber() != 0 {
			*a = append(*a, slog.Int("attempt", int(attempt.GetNumber())))
		}
	}
	if r, ok := message.(interface {
		GetAttempts() []*lxdprovisionerv1.Attempt
	}); ok {
		var vms, hosts, ids []string
		for _, attempt := range r.GetAttempts() {
			vms, hosts = append(vms, attempt.GetName()), append(hosts, attempt.GetHostName())
			if attempt.GetSystemId() != "" {
				ids = append(ids, attempt.GetSystemId())
			}
		}
		a.add("vm", strings.Join(vms, ","))
		a.add("host", strings.Join(hosts, ","))
		a.add("systemID", strings.Join(ids, ","))
	}
}
