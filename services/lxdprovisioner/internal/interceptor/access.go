package interceptor

import (
	"context"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/capmaas/capmaas/proto/mtls"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/server"
)

// Access says who may call what, by the names that callers' certificates bear.
type Access struct {
	// Managers may make every call.
	Managers []string
	// Operators may make the calls that only read.
	Operators []string
	// OperatorsMayWrite lets operators make every call.
	OperatorsMayWrite bool
}

// role is what a caller may do.
type role int

const (
	nobody role = iota
	operator
	manager
)

// caller gives the name under which the caller of ctx acts, and as what: of its names the one that
// gives it the most rights, and all of them where none gives any.
func (a *Access) caller(ctx context.Context) (string, role) {
	names := mtls.CallerNames(ctx)
	for _, name := range names {
		if slices.Contains(a.Managers, name) {
			return name, manager
		}
	}
	for _, name := range names {
		if slices.Contains(a.Operators, name) {
			return name, operator
		}
	}
	return strings.Join(names, ","), nobody
}

// judge refuses what the caller of ctx may not do. The error says who may, and how to change it.
func (a *Access) judge(ctx context.Context, method string, request any) error {
	name, as := a.caller(ctx)
	switch {
	case as == manager, as == operator && (a.OperatorsMayWrite || reads(method, request)):
		return nil
	case as == operator:
		return refused("operator %q may only read, and %s changes something: call with a manager's certificate (%s), or start the service with --operators-may-write",
			name, method[strings.LastIndex(method, "/")+1:], strings.Join(a.Managers, ", "))
	default:
		return refused("the caller's certificate names %q, which is neither a manager (%s) nor an operator (%s): call with a certificate of one of these names, "+
			"or start the service with --manager-identity or --operator-identity", name, strings.Join(a.Managers, ", "), strings.Join(a.Operators, ", "))
	}
}

func refused(format string, args ...any) error {
	return server.StatusOf(fault.New(fault.Forbidden, fault.ReasonCallerNotAllowed, format, args...))
}

// reads says whether a call changes nothing, by the contract: the idempotency level of its method. A
// method that says nothing changes something.
func reads(method string, request any) bool {
	if level(method) == descriptorpb.MethodOptions_NO_SIDE_EFFECTS {
		return true
	}
	r, ok := request.(interface{ GetDryRun() bool })
	return ok && r.GetDryRun()
}

// level gives the idempotency level of a method, which is named as gRPC does. Health and reflection
// are not of our contract and say nothing of it; they only read.
func level(method string) descriptorpb.MethodOptions_IdempotencyLevel {
	if strings.HasPrefix(method, "/grpc.") {
		return descriptorpb.MethodOptions_NO_SIDE_EFFECTS
	}
	name := protoreflect.FullName(strings.ReplaceAll(strings.TrimPrefix(method, "/"), "/", "."))
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(name)
	if err != nil {
		return descriptorpb.MethodOptions_IDEMPOTENCY_UNKNOWN
	}
	options, _ := found.Options().(*descriptorpb.MethodOptions)
	return options.GetIdempotencyLevel()
}

func unaryAccess(access *Access) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		if err := access.judge(ctx, info.FullMethod, request); err != nil {
			return nil, err
		}
		return handler(ctx, request)
	}
}

// streamAccess judges a stream by its method: the contract has none that changes anything.
func streamAccess(access *Access) grpc.StreamServerInterceptor {
	return func(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		if err := access.judge(stream.Context(), info.FullMethod, nil); err != nil {
			return err
		}
		return handler(srv, stream)
	}
}
