// Command maassim serves a simulated MAAS with LXD hosts, for demonstrations, development and tests.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/capmaas/capmaas/services/maassim"
)

// version is set by the linker; without it, it is the module's.
var version = ""

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return
	}
	fmt.Fprintln(os.Stderr, "maassim:", err)
	os.Exit(1) //nolint:gocritic // nothing is left for the deferred stop to do
}

func run(ctx context.Context, args []string, out, logs io.Writer) error {
	o, err := parse(args, out, logs)
	if err != nil {
		return err
	}
	if o.showVersion {
		_, err := fmt.Fprintln(out, buildVersion())
		return err
	}
	server, err := maassim.Start(ctx, o.cfg)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(logs, nil))
	log.Info("Serving a simulated MAAS", "url", server.URL(), "tlsURL", server.TLSURL(), "control", server.BaseURL()+"/_sim/",
		"maasVersion", server.Version(), "hosts", len(o.cfg.Hosts), "metal", len(o.cfg.Metal), "faults", len(server.Faults()), "version", buildVersion())
	if err := writeFiles(o, server); err != nil {
		return err
	}
	if !o.quiet {
		if err := greet(out, server, o); err != nil {
			return err
		}
	}
	return server.Wait()
}

// writeFiles writes what others wait for; the URL comes last.
func writeFiles(o options, server *maassim.Server) error {
	if o.caFile != "" {
		if err := replaceFile(o.caFile, server.CA()); err != nil {
			return fmt.Errorf("write the certificate: %w", err)
		}
	}
	if o.urlFile == "" {
		return nil
	}
	if err := replaceFile(o.urlFile, []byte(server.URL()+"\n")); err != nil {
		return fmt.Errorf("write the URL: %w", err)
	}
	return nil
}

// replaceFile puts the file there in one step, so that whoever waits for it never reads half of it.
func replaceFile(path string, content []byte) error {
	temporary := path + ".new"
	if err := os.WriteFile(temporary, content, 0o600); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}

func buildVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}
