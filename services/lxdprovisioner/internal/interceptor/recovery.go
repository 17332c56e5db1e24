package interceptor

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"

	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/recovery"
	"google.golang.org/grpc"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/server"
)

func unaryRecovery(logger *slog.Logger) grpc.UnaryServerInterceptor {
	return recovery.UnaryServerInterceptor(recovery.WithRecoveryHandlerContext(recovered(logger)))
}

func streamRecovery(logger *slog.Logger) grpc.StreamServerInterceptor {
	return recovery.StreamServerInterceptor(recovery.WithRecoveryHandlerContext(recovered(logger)))
}

// recovered logs where a handler panicked and answers INTERNAL. The value of a panic may quote a
// request, so only its type is told.
func recovered(logger *slog.Logger) recovery.RecoveryHandlerFuncContext {
	return func(ctx context.Context, p any) error {
		logger.ErrorContext(ctx, "Recovered from a panic", "type", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
		return server.StatusOf(fault.New(fault.Internal, fault.ReasonInternal, "the handler panicked; the service's log has the stack"))
	}
}
