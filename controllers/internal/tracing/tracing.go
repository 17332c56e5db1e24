// Package tracing follows one object from its reconcile to MAAS: by a span, where OpenTelemetry's standard environment
// variables ask for traces (docs/tracing.md), and always by a correlation id.
package tracing

import (
	"context"
	"fmt"
	"os"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/capmaas/capmaas/proto/traces"
)

// Start begins tracing for the process where an endpoint is named and tracing is not disabled; otherwise nothing is dialled and
// nothing recorded. stop sends the spans that are left, at most until its context ends. An exporter or a protocol that is not supported
// is an error that names the variable.
func Start(ctx context.Context, version string) (stop func(context.Context) error, err error) {
	on, err := traces.Wanted(os.Getenv)
	if err != nil || !on {
		return func(context.Context) error { return nil }, err
	}
	exporter, err := otlptracegrpc.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("make the exporter of traces: %w", err)
	}
	described, err := resource.New(ctx,
		resource.WithAttributes(attribute.String("service.name", "capmaas-manager"), attribute.String("service.version", version)),
		resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("describe the process to traces: %w", err)
	}
	log := ctrl.LoggerFrom(ctx)
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Error(err, "Exporting traces does not work") }))
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(described))
	otel.SetTracerProvider(provider)
	return provider.Shutdown, nil
}

// DialOptions make a span of each call that is made for a reconcile. Calls without a span have none of their own, and neither have
// streams, which last for hours.
func DialOptions() []grpc.DialOption {
	if on, err := traces.Wanted(os.Getenv); err != nil || !on {
		return nil
	}
	return []grpc.DialOption{grpc.WithStatsHandler(otelgrpc.NewClientHandler(
		otelgrpc.WithPropagators(propagation.TraceContext{}), otelgrpc.WithMeterProvider(metricnoop.NewMeterProvider()),
		otelgrpc.WithFilter(traces.Followed),
	))}
}
