package provision

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
)

// guarded makes an error of a panic in a goroutine of ours, which the recovery of the server does not
// reach. A panic's value may quote user data: only its type is told, and the stack logged.
func guarded(ctx context.Context, log *slog.Logger, what string, run func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			kind := fmt.Sprintf("%T", r)
			log.ErrorContext(ctx, "Panic caught", "in", what, "type", kind, "stack", string(debug.Stack()))
			err = fault.New(fault.Internal, fault.ReasonInternal, "panic (%s) in %s", kind, what)
		}
	}()
	return run()
}
