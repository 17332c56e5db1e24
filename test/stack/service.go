package stack

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	serviceapp "github.com/capmaas/capmaas/services/lxdprovisioner/app"
)

// startLimit bounds how long the service may take until it listens.
const startLimit = 2 * time.Minute

// ServiceOptions say how a service runs.
type ServiceOptions struct {
	// Dir is where the credentials are written; it is made where it is not there.
	Dir string
	// MAAS is the URL of MAAS, Key its API key.
	MAAS, Key string
	// Listen is the address of the gRPC server; empty for a free port of loopback.
	Listen string
	// Logs gets the log.
	Logs io.Writer
	// Timing are the use cases' durations.
	Timing serviceapp.Timing
	// Configure changes the rest; nil for nothing.
	Configure func(*serviceapp.Config)
}

// Service is a running service.
type Service struct {
	*Process

	// Address is where it serves gRPC.
	Address string
}

// StartService starts a service and waits until it listens. It runs on when ctx ends.
func StartService(ctx context.Context, o ServiceOptions) (*Service, error) {
	if err := writeCredentials(o.Dir, map[string]string{"MAAS_ENDPOINT": o.MAAS, "MAAS_API_KEY": o.Key}); err != nil {
		return nil, err
	}
	bound := make(chan serviceapp.Addresses, 1)
	cfg := serviceapp.Config{
		Clock:  time.Now, //nolint:forbidigo // the service runs by the clock, as it does in its own program
		Getenv: os.Getenv, Logs: o.Logs, Timing: o.Timing, Started: func(a serviceapp.Addresses) { bound <- a },
	}
	cfg.AddFlags(flag.NewFlagSet("lxdprovisioner", flag.ContinueOnError))
	cfg.Listen, cfg.MetricsAddr, cfg.CredentialsDir, cfg.Insecure = cmp.Or(o.Listen, "127.0.0.1:0"), "127.0.0.1:0", o.Dir, true
	if o.Configure != nil {
		o.Configure(&cfg)
	}
	s := &Service{Process: background(ctx, func(ctx context.Context) error { return serviceapp.Run(ctx, cfg) })}
	select {
	case a := <-bound:
		s.Address = a.GRPC.String()
		return s, nil
	case <-s.ended:
		return nil, fmt.Errorf("start the service: %w", cmp.Or(s.Wait(), errors.New("it ended at once")))
	case <-time.After(startLimit):
		return nil, errors.Join(errors.New("start the service: it listens nowhere"), s.Stop())
	}
}

func writeCredentials(dir string, files map[string]string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the credentials directory: %w", err)
	}
	for name, value := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(value), 0o600); err != nil {
			return fmt.Errorf("write the credentials: %w", err)
		}
	}
	return nil
}
