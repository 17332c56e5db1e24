// Command maaslxd shows an operator what the provisioning service knows and decides, and how a machine came to be where it
// is. As kubectl-maaslxd in the PATH it is "kubectl maaslxd".
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/term"
	"k8s.io/klog/v2"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/capmaas/capmaas/cmd/maaslxd/app"
)

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// What the Kubernetes libraries would log stands in our own errors.
	ctrllog.SetLogger(logr.Discard())
	klog.SetLogger(logr.Discard())
	return app.Run(ctx, app.Invocation{
		Program: os.Args[0], Args: os.Args[1:], In: os.Stdin, Out: os.Stdout, Err: os.Stderr,
		Terminal:      term.IsTerminal(int(os.Stdout.Fd())),
		ErrorTerminal: term.IsTerminal(int(os.Stderr.Fd())),
		Getenv:        os.Getenv, Clock: time.Now,
	})
}
