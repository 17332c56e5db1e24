package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/logs"
)

// checkLoopback takes an address that nobody but the machine, or the pod, itself can reach.
func checkLoopback(address string) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil || !at.Addr().IsLoopback() {
		return fmt.Errorf("%q: it must be a loopback address such as 127.0.0.1:6060, since nothing guards what is served there", address)
	}
	return nil
}

// serveDebug serves the log level until ctx ends, where an address is given for it.
func (s *service) serveDebug(ctx context.Context) error {
	if s.cfg.DebugAddr == "" {
		return nil
	}
	var listen net.ListenConfig
	at, err := listen.Listen(ctx, "tcp", s.cfg.DebugAddr)
	if err != nil {
		return fmt.Errorf("--debug-addr: %w", err)
	}
	server := logs.LevelServer(s.level, s.logger)
	closed := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer closed()
	s.logger.Info("Serving the log level", "debug", at.Addr().String(), "path", logs.LevelPath)
	if err := server.Serve(at); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the log level: %w", err)
	}
	return nil
}

// flushTime bounds how long a stop waits for the spans that are left.
const flushTime = 5 * time.Second

// stopTracing sends the spans that are left.
func (s *service) stopTracing(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTime)
	defer cancel()
	if err := s.tracing.Stop(ctx); err != nil {
		s.logger.Warn("Stopping before all spans were exported", "error", err)
	}
}
