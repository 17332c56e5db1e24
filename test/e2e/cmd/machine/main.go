// Command machine is what runs in the sandbox of a machine; package fleet starts it.
package main

import (
	"context"
	"log/slog"
	"os"
	"time"

	"github.com/capmaas/capmaas/test/e2e/internal/node"
	"github.com/capmaas/capmaas/test/e2e/internal/sandbox"
)

func main() {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	machine, err := sandbox.Born()
	if err == nil {
		err = os.Setenv("PATH", machine.Path())
	}
	if err == nil {
		err = node.Run(context.Background(), node.Config{Machine: machine, Log: log.With("machine", machine.Hostname), Now: time.Now})
	}
	log.Error("The machine has ended", "error", err)
	os.Exit(1)
}
