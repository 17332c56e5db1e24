package app

import (
	"cmp"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/interceptor"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/server"
)

// The settings of connections. gRPC's own are made for the open internet: 2 h until a dead peer is
// noticed, connections without an end, streams without a bound.
const (
	pingAfter     = 60 * time.Second
	pingTimeout   = 20 * time.Second
	callersPing   = 20 * time.Second
	idleFor       = 15 * time.Minute
	handshake     = 10 * time.Second
	maxStreams    = 256
	connectionAge = 5 * time.Minute
	// connectionGrace is longer than the longest call, so that the end of a connection cuts none.
	connectionGrace = 180 * time.Second
)

// buildServer makes the gRPC server with everything that it serves.
func (s *service) buildServer() error {
	options, err := interceptor.ServerOptions(interceptor.Config{
		Logger: s.logger, Audit: s.audit, Access: s.cfg.access(), Metrics: s.metrics.Calls, Clock: s.cfg.Clock, Streams: s.streams,
	})
	if err != nil {
		return err
	}
	transport, err := s.transport()
	if err != nil {
		return fmt.Errorf("--tls-dir: %w", err)
	}
	s.grpc = grpc.NewServer(append(append(options, s.tracing.ServerOptions()...),
		grpc.Creds(transport),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			Time: pingAfter, Timeout: pingTimeout, MaxConnectionIdle: idleFor,
			MaxConnectionAge: cmp.Or(s.cfg.ConnectionAge, connectionAge), MaxConnectionAgeGrace: connectionGrace,
		}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: callersPing, PermitWithoutStream: true}),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.ConnectionTimeout(handshake),
		grpc.WaitForHandlers(true),
	)...)
	server.New(server.Config{Hosts: s.lxd, VMs: s.lxd, BareMetal: s.metal, Region: s.region, Version: Version}).Register(s.grpc)
	s.health = health.NewServer()
	for name := range s.grpc.GetServiceInfo() {
		s.health.SetServingStatus(name, healthpb.HealthCheckResponse_SERVING)
	}
	s.health.SetServingStatus(healthName, healthpb.HealthCheckResponse_NOT_SERVING)
	healthpb.RegisterHealthServer(s.grpc, s.health)
	reflection.Register(s.grpc)
	s.metrics.Calls.InitializeMetrics(s.grpc)
	return nil
}
