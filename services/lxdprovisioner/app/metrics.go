package app

import (
	"net/http"
	"strconv"
	"time"

	grpcprom "github.com/grpc-ecosystem/go-grpc-middleware/providers/prometheus"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/maas"
)

// metrics are the service's metrics in a registry of their own, so that several services can run in
// one process.
type metrics struct {
	registry *prometheus.Registry
	calls    *grpcprom.ServerMetrics
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
}

func newMetrics() *metrics {
	// Up to the 150 s that MAAS may take for a composition.
	buckets := []float64{.005, .025, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 150}
	m := &metrics{
		registry: prometheus.NewRegistry(),
		calls:    grpcprom.NewServerMetrics(grpcprom.WithServerHandlingTimeHistogram(grpcprom.WithHistogramBuckets(buckets))),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lxdprovisioner_maas_requests_total", Help: "HTTP requests to MAAS by operation and outcome: an HTTP status, or no_answer.",
		}, []string{"operation", "outcome"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "lxdprovisioner_maas_request_seconds", Help: "Seconds from sending a request to MAAS to the last byte of its answer.",
			Buckets: buckets,
		}, []string{"operation"}),
	}
	version := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "lxdprovisioner_build_info", Help: "1, with the version of the service as a label.",
		ConstLabels: prometheus.Labels{"version": Version},
	})
	version.Set(1)
	m.registry.MustRegister(m.calls, m.requests, m.seconds, version,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// observe counts one request to MAAS.
func (m *metrics) observe(o maas.Observation) {
	outcome := "no_answer"
	if o.Status != 0 {
		outcome = strconv.Itoa(o.Status)
	}
	m.requests.WithLabelValues(o.Operation, outcome).Inc()
	m.seconds.WithLabelValues(o.Operation).Observe(o.Took.Seconds())
}

// server serves /metrics.
func (m *metrics) server() *http.Server {
	const slowest = 10 * time.Second
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	return &http.Server{Handler: mux, ReadHeaderTimeout: slowest}
}
