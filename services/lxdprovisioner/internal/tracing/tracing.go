// Package tracing sends spans to where OpenTelemetry's standard environment variables say, and makes none where they say
// nothing (docs/tracing.md).
package tracing

import (
	"context"
	"fmt"
	"log/slog"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
	"google.golang.org/grpc"

	"github.com/capmaas/capmaas/proto/traces"
)

// Scope names the instrumentation in spans.
const Scope = "github.com/capmaas/capmaas/services/lxdprovisioner"

// Tracing makes spans, or none.
type Tracing struct {
	provider trace.TracerProvider
	stop     func(context.Context) error
}

// Config says what a process tells of itself.
type Config struct {
	// Version is the service's.
	Version string
	// Getenv reads an environment variable. The exporter reads further ones, such as headers and certificates, from the process's
	// own environment.
	Getenv func(string) string
	// Logger is told where spans can't be exported.
	Logger *slog.Logger
}

// Start begins tracing where an endpoint is named and tracing is not disabled; otherwise nothing is dialled and nothing
// recorded. An exporter or a protocol that is not supported is an error that names the variable.
func Start(ctx context.Context, cfg Config) (*Tracing, error) {
	on, err := traces.Wanted(cfg.Getenv)
	if err != nil || !on {
		return &Tracing{provider: noop.NewTracerProvider(), stop: func(context.Context) error { return nil }}, err
	}
	exporter, err := otlptracegrpc.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("make the exporter of traces: %w", err)
	}
	described, err := resource.New(ctx,
		resource.WithAttributes(attribute.String("service.name", "lxdprovisioner"), attribute.String("service.version", cfg.Version)),
		resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("describe the process to traces: %w", err)
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { cfg.Logger.Warn("Exporting traces does not work", "error", err) }))
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(described))
	return &Tracing{provider: provider, stop: provider.Shutdown}, nil
}

// Enabled says whether spans are made.
func (t *Tracing) Enabled() bool { _, off := t.provider.(noop.TracerProvider); return !off }

// Tracer makes the service's own spans.
func (t *Tracing) Tracer() trace.Tracer { return t.provider.Tracer(Scope) } //nolint:ireturn // OpenTelemetry has no other type for it

// ServerOptions make a span of each call, the child of its caller's. Streams have none, since they last for hours, and neither has what the
// kubelet asks every few seconds.
func (t *Tracing) ServerOptions() []grpc.ServerOption {
	if !t.Enabled() {
		return nil
	}
	return []grpc.ServerOption{grpc.StatsHandler(otelgrpc.NewServerHandler(
		otelgrpc.WithTracerProvider(t.provider), otelgrpc.WithPropagators(propagation.TraceContext{}),
		otelgrpc.WithMeterProvider(metricnoop.NewMeterProvider()),
		otelgrpc.WithFilter(traces.Followed),
	))}
}

// Stop sends what is left, at most until ctx ends.
func (t *Tracing) Stop(ctx context.Context) error { return t.stop(ctx) }
