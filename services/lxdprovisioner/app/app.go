// Package app runs the service: it checks the configuration, wires the parts together, serves until
// its context ends and then stops without losing what MAAS has been told. It is the only package that
// knows every implementation.
package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/capmaas/capmaas/proto/correlation"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/backend/maasregion"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/backend/maasvmhost"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/interceptor"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/logs"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/maas"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/metrics"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/provision"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/replicas"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/tracing"
)

// Version is the version of the service; the build sets it with -ldflags "-X".
var Version = "dev"

// service is the service with its parts wired together.
type service struct {
	cfg    Config
	logger *slog.Logger
	// audit is the record of who changed what; no log level leaves it out.
	audit   *slog.Logger
	client  *maas.Client
	lxd     *provision.LXD
	metal   *provision.BareMetal
	region  *provision.MAASRegion
	grpc    *grpc.Server
	health  *health.Server
	streams *interceptor.Streams
	metrics *metrics.Metrics
	tracing *tracing.Tracing
	// level is that of the logger; it may be switched meanwhile.
	level *slog.LevelVar
	// peers are the replicas; nil where this one is alone.
	peers *replicas.Group
}

// Run serves until ctx ends, then drains, and gives nil; anything else is an error. Every bad flag,
// file and variable is named in one error before anything listens. A MAAS that is silent or refuses
// the key is no error: it is logged, the health name "maas" says NOT_SERVING, and calls answer so.
func Run(ctx context.Context, cfg Config) error {
	found, err := cfg.resolve()
	if err != nil {
		return fmt.Errorf("check the configuration:\n%w", err)
	}
	s, err := wire(ctx, cfg, found)
	if err != nil {
		return err
	}
	defer s.client.Close()
	defer s.stopTracing(ctx)
	bound, err := s.listen(ctx)
	if err != nil {
		return err
	}
	if cfg.Started != nil {
		cfg.Started(bound.addresses())
	}
	s.logger.Info("Serving", "version", Version, "listen", bound.calls.Addr().String(), "metrics", bound.scrapes.Addr().String(), "maas", found.endpoint)
	return s.serve(ctx, bound)
}

// wire builds the service from the bottom up: MAAS's client, the back end, the use cases, the server.
func wire(ctx context.Context, cfg Config, found settings) (*service, error) {
	level := new(slog.LevelVar)
	level.Set(found.level)
	s := &service{
		cfg: cfg, level: level, logger: newLogger(cfg, level), audit: newLogger(cfg, min(found.level, slog.LevelInfo)),
		metrics: metrics.New(Version), streams: interceptor.NewStreams(),
	}
	var err error
	if s.tracing, err = tracing.Start(ctx, tracing.Config{Version: Version, Getenv: cfg.Getenv, Logger: s.logger}); err != nil {
		return nil, err
	}
	s.client, err = maas.New(maas.Config{
		URL: found.endpoint, Credentials: found.key, CAFile: cfg.CAFile, UserAgent: "lxdprovisioner/" + Version,
		Limits: cfg.limits(), Clock: cfg.Clock, Logger: s.logger, Observe: s.metrics.Observe,
		Tracer: s.tracing.Tracer(), Correlation: correlation.FromContext,
	})
	if err != nil {
		return nil, err
	}
	s.metrics.WatchLoads(s.client.Loads)
	s.metrics.WatchHostLoads(s.client.HostLoads)
	timing := cfg.Timing
	if timing == (Timing{}) {
		timing = DefaultTiming()
	}
	timing.DrainLimit = cfg.DrainTimeout
	useCases := provision.Config{
		Backend: maasvmhost.New(s.client, cfg.Clock, s.logger), MAAS: maasregion.New(s.client, cfg.Clock),
		Clock: cfg.Clock, Logger: s.logger, Timing: timing, Placed: s.metrics.Placed,
	}
	if s.peers = newPeers(cfg, found, s.logger); s.peers != nil {
		s.metrics.WatchPeers(s.peers)
		useCases.OwnShare = s.peers.Owns
	}
	s.lxd, s.metal = provision.NewLXD(useCases), provision.NewBareMetal(useCases)
	s.metrics.WatchCapacity(s.lxd.Capacity)
	s.metrics.WatchLedger(s.lxd.Ledger)
	s.metrics.WatchStreams(s.lxd.Watched, s.metal.Watched)
	useCases.Snapshot = s.lxd.Snapshot
	s.region = provision.NewMAASRegion(useCases)
	return s, s.buildServer() //nolint:contextcheck // the interceptors take each call's own context
}

// newPeers gives the group of replicas that the service belongs to; nil where it is alone.
func newPeers(cfg Config, found settings, logger *slog.Logger) *replicas.Group {
	if cfg.Peers == "" {
		return nil
	}
	resolve := cfg.Resolve
	if resolve == nil {
		resolve = net.DefaultResolver.LookupNetIP
	}
	return replicas.New(replicas.Config{Name: cfg.Peers, Self: found.self, Resolve: resolve, Interval: cfg.PeersInterval, Logger: logger})
}

func newLogger(cfg Config, level slog.Leveler) *slog.Logger {
	return logs.New(cfg.Logs, cfg.LogFormat == "text", level)
}

// serve runs everything until ctx ends or a part fails, and waits for all of it.
func (s *service) serve(ctx context.Context, at *listeners) error {
	scraped := s.metrics.Server()
	group, running := errgroup.WithContext(ctx)
	group.Go(func() error {
		if err := s.grpc.Serve(at.calls); err != nil {
			return fmt.Errorf("serve gRPC: %w", err)
		}
		return nil
	})
	group.Go(func() error {
		if err := scraped.Serve(at.scrapes); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve metrics: %w", err)
		}
		return nil
	})
	probed := s.healthServer()
	if at.probes != nil {
		group.Go(func() error {
			if err := probed.Serve(at.probes); !errors.Is(err, grpc.ErrServerStopped) && err != nil {
				return fmt.Errorf("serve health: %w", err)
			}
			return nil
		})
	}
	group.Go(func() error { return s.serveDebug(running) })
	group.Go(func() error {
		s.watchMAAS(running)
		return nil
	})
	if s.peers != nil {
		group.Go(func() error {
			s.peers.Watch(running)
			return nil
		})
	}
	group.Go(func() error {
		<-running.Done()
		// The stop has a time of its own: what it waits for must outlive the context that ended.
		stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.DrainTimeout)
		defer cancel()
		s.stop(stopping)
		probed.Stop()
		return scraped.Close()
	})
	return group.Wait()
}

// stop tells callers to go elsewhere, ends the streams, waits for the calls, and then for what runs
// on in MAAS without a caller. What has not ended with ctx is cut.
func (s *service) stop(ctx context.Context) {
	s.logger.Info("Stopping", "drainTimeout", s.cfg.DrainTimeout)
	s.health.Shutdown()
	s.streams.Stop()
	graceful := make(chan struct{})
	go func() {
		defer close(graceful)
		s.grpc.GracefulStop()
	}()
	select {
	case <-graceful:
	case <-ctx.Done():
		s.logger.Warn("Cutting calls that have not ended")
		s.grpc.Stop()
		<-graceful
	}
	// No handler can start anything any more, so what is drained here is all.
	if err := errors.Join(s.lxd.Drain(ctx), s.metal.Drain(ctx), s.region.Drain(ctx)); err != nil {
		s.logger.Warn("Stopping before all work has ended", "error", err)
	}
	s.logger.Info("Stopped")
}

const (
	// DefaultCheckInterval is how often MAAS is asked who we are while it answers: a key that was taken
	// away shows in calls anyway. sickCheck is the same while something is wrong.
	DefaultCheckInterval = 2 * time.Minute
	sickCheck            = 15 * time.Second
	// checkTime bounds one check.
	checkTime = 30 * time.Second
)

// healthName is the name under which the health service tells of MAAS. The empty name, and those of
// the services, tell of the process alone: calls go on while MAAS is silent, and say so.
const healthName = "maas"

// watchMAAS asks MAAS who we are and what we may do, tells it as health, and logs when it changes.
func (s *service) watchMAAS(ctx context.Context) {
	last, first := "", true
	for {
		problem := s.checkMAAS(ctx)
		if ctx.Err() != nil {
			return
		}
		pause, state := cmp.Or(s.cfg.CheckInterval, DefaultCheckInterval), healthpb.HealthCheckResponse_SERVING
		if problem != "" {
			pause, state = sickCheck, healthpb.HealthCheckResponse_NOT_SERVING
		}
		s.health.SetServingStatus(healthName, state)
		switch {
		case problem != "" && problem != last:
			s.logger.Warn("MAAS can't be used as it is", "problem", problem)
		case problem == "" && (first || last != ""):
			s.logger.Info("MAAS answers and lets us work")
		}
		last, first = problem, false
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// checkMAAS gives what is wrong; empty where nothing is.
func (s *service) checkMAAS(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	problem := s.region.Region(ctx).Problem
	if problem == nil {
		s.metrics.Checked("")
		return ""
	}
	s.metrics.Checked(string(fault.ReasonOf(problem)))
	return problem.Error()
}
