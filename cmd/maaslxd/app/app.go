// Package app is the whole command, apart from the process that it runs in.
package app

import (
	"context"
	"runtime/debug"

	"github.com/capmaas/capmaas/cmd/maaslxd/internal/command"
)

// Version is the command's version; the linker sets it.
var Version = ""

// Invocation is what a process gives the command.
type Invocation = command.Invocation

// Run runs the command and gives the exit status: 0 when all is well, 1 when something is wrong or could not be done, 2 when
// the command line is wrong.
func Run(ctx context.Context, in Invocation) int {
	if in.Version == "" {
		in.Version = version()
	}
	return command.Run(ctx, in)
}

// version is what the linker set, else that of the module, as go install stamps it.
func version() string {
	if Version != "" {
		return Version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}
