package maas

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// span begins the span of one request, from the wait for a slot to the end of the answer, and gives the function that ends it.
// Only a request that is part of a trace has one: what the service asks by itself is seen in metrics. Its attributes name the operation; a
// URL, whose query may name machines, and bodies are no part of it.
func (c *Client) span(ctx context.Context, op operation, attempt int) (context.Context, func(*exchange, error)) {
	if !trace.SpanContextFromContext(ctx).IsValid() {
		return ctx, func(*exchange, error) {}
	}
	ctx, span := c.tracer.Start(ctx, "MAAS "+op.name, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		attribute.String("maas.operation", op.name), attribute.String("http.request.method", op.method), attribute.Int("maas.attempt", attempt),
	))
	if id := c.correlate(ctx); id != "" {
		span.SetAttributes(attribute.String("correlation.id", id))
	}
	return ctx, func(ex *exchange, err error) {
		span.SetAttributes(attribute.Bool("maas.sent", ex.sent), attribute.Float64("maas.request_seconds", ex.took.Seconds()))
		if ex.status != 0 {
			span.SetAttributes(attribute.Int("http.response.status_code", ex.status))
		}
		if err != nil {
			// The reason alone: MAAS's words may quote what it was sent.
			span.SetStatus(codes.Error, outcome(err))
		}
		span.End()
	}
}
