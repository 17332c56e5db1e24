package provisioner

import (
	grpcprom "github.com/grpc-ecosystem/go-grpc-middleware/providers/prometheus"
	"google.golang.org/grpc"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/capmaas/capmaas/controllers/internal/tracing"
	"github.com/capmaas/capmaas/proto/correlation"
)

// callMetrics count the calls of the process by service, method and code.
var callMetrics = grpcprom.NewClientMetrics()

func init() { metrics.Registry.MustRegister(callMetrics) } //nolint:gochecknoinits // metrics are registered once a process

// observed counts the calls, makes spans of them where traces are wanted, and sends the correlation id of what they are made for.
func observed() []grpc.DialOption {
	return append(tracing.DialOptions(),
		grpc.WithChainUnaryInterceptor(callMetrics.UnaryClientInterceptor(), correlation.UnaryClientInterceptor),
		grpc.WithChainStreamInterceptor(callMetrics.StreamClientInterceptor()),
	)
}
