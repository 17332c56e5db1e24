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
	"time"

	"github.com/capmaas/capmaas/services/maassim"
)

// version is set by the linker; without it, it is the module's.
var version = ""

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "maassim:", err)
		}
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	cfg                 maassim.Config
	hosts, zones, metal int
	urlFile             string
	showVersion         bool
}

func run(ctx context.Context, args []string, out, logs io.Writer) error {
	o, err := parse(args, logs)
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
	log.Info("Serving a simulated MAAS", "url", server.URL(), "control", server.BaseURL()+"/_sim/", "maasVersion", server.Version(),
		"hosts", o.hosts, "zones", o.zones, "metal", o.metal, "version", buildVersion())
	if o.urlFile != "" {
		if err := writeURL(o.urlFile, server.URL()); err != nil {
			return err
		}
	}
	return server.Wait()
}

func parse(args []string, logs io.Writer) (options, error) {
	var o options
	var listen, maasVersion, lxdVersion, key, userKey string
	var speed float64
	var d maassim.Durations
	var gone bool
	fs := flag.NewFlagSet("maassim", flag.ContinueOnError)
	fs.SetOutput(logs)
	fs.StringVar(&listen, "listen", "127.0.0.1:5240", "`address` to listen on; port 0 takes a free one")
	fs.StringVar(&o.urlFile, "url-file", "", "`file` to write MAAS's URL to once it serves")
	fs.IntVar(&o.hosts, "hosts", 12, "number of LXD hosts")
	fs.IntVar(&o.zones, "zones", 3, "number of availability zones that hosts and machines are spread over")
	fs.IntVar(&o.metal, "metal", 4, "number of bare-metal machines")
	fs.StringVar(&maasVersion, "maas-version", "3.5", "`version` of MAAS to behave like: 3.4 to 3.7")
	fs.StringVar(&lxdVersion, "lxd-version", "5.21.3", "`version` that LXD hosts report")
	fs.StringVar(&key, "api-key", maassim.DefaultAPIKey, "`key` of the administrator, consumer:token:secret")
	fs.StringVar(&userKey, "user-api-key", maassim.DefaultUserAPIKey, "`key` of a user without rights, consumer:token:secret")
	fs.DurationVar(&d.Compose, "compose-duration", 3*time.Second, "how long compose takes to answer")
	fs.DurationVar(&d.Refresh, "refresh-duration", 2*time.Second, "how long a host's refresh takes to answer")
	fs.DurationVar(&d.Delete, "delete-duration", 2*time.Second, "how long deleting a VM takes to answer")
	fs.DurationVar(&d.Commission, "commission-duration", 3*time.Minute, "from Commissioning to Ready")
	fs.DurationVar(&d.Deploy, "deploy-duration", 4*time.Minute, "from Deploying to Deployed")
	fs.DurationVar(&d.Release, "release-duration", 20*time.Second, "from Releasing to Ready")
	fs.Float64Var(&speed, "speed", 1, "`factor` by which all durations are shorter")
	fs.BoolVar(&gone, "vmhosts-gone", false, "answer 410 to everything about VM hosts, as the MAAS after 3.8 does")
	fs.BoolVar(&o.showVersion, "version", false, "print the version and exit")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	if fs.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	if err := errors.Join(notNegative("hosts", o.hosts), atLeastOne("zones", o.zones), notNegative("metal", o.metal), positive("speed", speed)); err != nil {
		return o, err
	}
	o.cfg = maassim.DefaultConfig(o.hosts, o.zones, o.metal)
	o.cfg.Listen, o.cfg.Version, o.cfg.LXDVersion, o.cfg.APIKey, o.cfg.UserAPIKey = listen, maasVersion, lxdVersion, key, userKey
	o.cfg.Durations, o.cfg.Speed, o.cfg.VMHostsGone = d, speed, gone
	return o, nil
}

func notNegative(name string, n int) error {
	if n < 0 {
		return fmt.Errorf("--%s %d: must not be negative", name, n)
	}
	return nil
}

func atLeastOne(name string, n int) error {
	if n < 1 {
		return fmt.Errorf("--%s %d: must be at least 1", name, n)
	}
	return nil
}

func positive(name string, f float64) error {
	if f <= 0 {
		return fmt.Errorf("--%s %g: must be positive", name, f)
	}
	return nil
}

// writeURL puts the file there in one step, so that whoever waits for it never reads half of it.
func writeURL(path, url string) error {
	temporary := path + ".new"
	if err := os.WriteFile(temporary, []byte(url+"\n"), 0o600); err != nil {
		return fmt.Errorf("write the URL: %w", err)
	}
	if err := os.Rename(temporary, path); err != nil {
		return fmt.Errorf("write the URL: %w", err)
	}
	return nil
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
