// Package metrics is what the service tells Prometheus: docs/metrics.md lists it, and a test of test/observability compares the
// two. Labels have few values: operations, codes, reasons, zones, hosts; never names of machines.
package metrics

import (
	"net/http"
	"time"

	grpcprom "github.com/grpc-ecosystem/go-grpc-middleware/providers/prometheus"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics are the service's metrics in a registry of their own, so that several services can run in
// one process.
type Metrics struct {
	// Calls are those of RPCs, for the interceptors.
	Calls *grpcprom.ServerMetrics

	registry   *prometheus.Registry
	requests   *prometheus.CounterVec
	seconds    *prometheus.HistogramVec
	placements *prometheus.CounterVec
	rejections *prometheus.CounterVec
	refusals   *prometheus.CounterVec
	health     *health
}

// New makes the metrics of a service of the version.
func New(version string) *Metrics {
	// Up to the 150 s that MAAS may take for a composition.
	buckets := []float64{.005, .025, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 150}
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		Calls:    grpcprom.NewServerMetrics(grpcprom.WithServerHandlingTimeHistogram(grpcprom.WithHistogramBuckets(buckets))),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lxdprovisioner_maas_requests_total",
			Help: "HTTP requests to MAAS by operation, code (an HTTP status, no_answer, or not_sent) and outcome (OK, or the reason of the fault).",
		}, []string{"operation", "code", "outcome"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "lxdprovisioner_maas_request_seconds", Help: "Seconds from sending a request to MAAS to the last byte of its answer.",
			Buckets: buckets,
		}, []string{"operation"}),
		placements: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lxdprovisioner_placements_total", Help: "Selections of a host for a VM, by outcome: OK, or the reason why there was none.",
		}, []string{"outcome"}),
		rejections: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lxdprovisioner_placement_rejections_total",
			Help: "Hosts that could not take a VM, counted once for each selection that found none, by the reason of the rejection.",
		}, []string{"reason"}),
		refusals: newRefusals(),
		health:   newHealth(),
	}
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "lxdprovisioner_build_info", Help: "1, with the version of the service as a label.",
		ConstLabels: prometheus.Labels{"version": version},
	})
	info.Set(1)
	m.registry.MustRegister(m.Calls, m.requests, m.seconds, m.placements, m.rejections, m.refusals, m.health, info,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Server serves /metrics.
func (m *Metrics) Server() *http.Server {
	const slowest = 10 * time.Second
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	return &http.Server{Handler: mux, ReadHeaderTimeout: slowest}
}
