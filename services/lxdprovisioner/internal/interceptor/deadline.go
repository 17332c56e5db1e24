package interceptor

import (
	"context"
	"time"

	"google.golang.org/grpc"

	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

const (
	// usual is the time of a call that names none and has none of its own.
	usual = 30 * time.Second
	// reserve is taken off the caller's time, so that a handler whose time is over still answers a
	// fault before the caller stops to listen; reserveShare bounds it for callers in a hurry.
	reserve      = 250 * time.Millisecond
	reserveShare = 10
)

// own are the times that the contract names for calls that take longer than usual.
var own = map[string]time.Duration{
	lxdprovisionerv1.LXDProvisioner_ComposeVM_FullMethodName:             150 * time.Second,
	lxdprovisionerv1.LXDProvisioner_DeleteVM_FullMethodName:              150 * time.Second,
	lxdprovisionerv1.LXDProvisioner_DeployVM_FullMethodName:              60 * time.Second,
	lxdprovisionerv1.LXDProvisioner_ListVMs_FullMethodName:               90 * time.Second,
	lxdprovisionerv1.BareMetalProvisioner_AllocateMachine_FullMethodName: 60 * time.Second,
	lxdprovisionerv1.BareMetalProvisioner_DeployMachine_FullMethodName:   60 * time.Second,
	lxdprovisionerv1.BareMetalProvisioner_ReleaseMachine_FullMethodName:  60 * time.Second,
}

// unaryDeadline gives a call without a deadline the method's own, and takes the reserve off a
// caller's. Streams live as long as their caller wants.
func unaryDeadline(clock func() time.Time) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		limit, ok := own[info.FullMethod]
		if !ok {
			limit = usual
		}
		if deadline, ok := ctx.Deadline(); ok {
			left := deadline.Sub(clock())
			limit = left - min(reserve, left/reserveShare)
		}
		ctx, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		return handler(ctx, request)
	}
}
