package observability_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// book is a text that can be read while it is written.
type book struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *book) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *book) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// lines gives the lines that hold all of the words.
func (b *book) lines(words ...string) []string {
	var found []string
	for line := range strings.Lines(b.String()) {
		if !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(line, word) }) {
			found = append(found, line)
		}
	}
	return found
}

// collector takes spans over OTLP, as OpenTelemetry's collector does.
type collector struct {
	collectorpb.UnimplementedTraceServiceServer

	mu    sync.Mutex
	spans []span
}

// span is a span and the process that sent it.
type span struct {
	*tracepb.Span

	service string
}

// start serves the collector and makes the environment name it.
func (c *collector) start() (stop func(), err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it listens at once
	if err != nil {
		return nil, fmt.Errorf("start the collector: %w", err)
	}
	for name, value := range map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://" + listener.Addr().String(), "OTEL_BSP_SCHEDULE_DELAY": "200"} {
		if err := os.Setenv(name, value); err != nil {
			return nil, err
		}
	}
	server := grpc.NewServer()
	collectorpb.RegisterTraceServiceServer(server, c)
	go func() { _ = server.Serve(listener) }()
	return server.Stop, nil
}

// Export takes spans.
func (c *collector) Export(_ context.Context, request *collectorpb.ExportTraceServiceRequest) (*collectorpb.ExportTraceServiceResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, resource := range request.GetResourceSpans() {
		for _, scope := range resource.GetScopeSpans() {
			for _, one := range scope.GetSpans() {
				c.spans = append(c.spans, span{one, attribute(resource.GetResource().GetAttributes(), "service.name")})
			}
		}
	}
	return &collectorpb.ExportTraceServiceResponse{}, nil
}

// all gives the spans so far.
func (c *collector) all() []span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.spans)
}

// text is everything that the spans say.
func (c *collector) text() string {
	var all strings.Builder
	for _, one := range c.all() {
		wire, err := proto.Marshal(one.Span)
		if err != nil {
			return err.Error()
		}
		all.Write(wire)
	}
	return all.String()
}

func (s span) attribute(key string) string { return attribute(s.GetAttributes(), key) }

func attribute(all []*commonpb.KeyValue, key string) string {
	for _, one := range all {
		if one.GetKey() == key {
			return one.GetValue().GetStringValue()
		}
	}
	return ""
}
