// Command lxdprovisioner serves the contract of the provisioner: it chooses LXD hosts and makes,
// deploys, reads and deletes machines through MAAS.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/capmaas/capmaas/services/lxdprovisioner/app"
)

func main() {
	os.Exit(run())
}

// run gives the exit code: 1 where serving failed, 2 where the command line is wrong.
func run() int {
	cfg := app.Config{Clock: time.Now, Getenv: os.Getenv, Logs: os.Stderr}
	flags := flag.NewFlagSet("lxdprovisioner", flag.ContinueOnError)
	cfg.AddFlags(flags)
	version := flags.Bool("version", false, "print the version and exit")
	if err := flags.Parse(os.Args[1:]); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return 2
	}
	if *version {
		fmt.Println(app.Version)
		return 0
	}
	if flags.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "lxdprovisioner takes flags only, not %q\n", flags.Args())
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := app.Run(ctx, cfg); err != nil {
		fmt.Fprintln(os.Stderr, "lxdprovisioner:", err)
		return 1
	}
	return 0
}
