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
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/replicas"
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
			Name: "lxdprovisioner_maas_requests_total",
			Help: "HTTP requests to MAAS by operation, code (an HTTP status, no_answer, or not_sent) and outcome (OK, or the reason of the fault).",
		}, []string{"operation", "code", "outcome"}),
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
	code := "no_answer"
	switch {
	case !o.Sent:
		code = "not_sent"
	case o.Status != 0:
		code = strconv.Itoa(o.Status)
	}
	m.requests.WithLabelValues(o.Operation, code, o.Outcome).Inc()
	if o.Sent {
		m.seconds.WithLabelValues(o.Operation).Observe(o.Took.Seconds())
	}
}

// loads are the metrics of how busy the client of MAAS is, which are asked for when they are scraped.
type loads struct {
	read                    func() []maas.Load
	running, waiting, limit *prometheus.Desc
}

// watchLoads adds the metrics of a client's load.
func (m *metrics) watchLoads(read func() []maas.Load) {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("lxdprovisioner_maas_requests_"+name, help, []string{"class"}, nil)
	}
	m.registry.MustRegister(&loads{
		read:    read,
		running: desc("in_flight", "Requests to MAAS that are under way, by class: short, list or long."),
		waiting: desc("waiting", "Requests to MAAS that wait for a slot, by class."),
		limit:   desc("limit", "How many requests to MAAS may be under way at a time, by class."),
	})
}

// Describe tells the registry what there is.
func (l *loads) Describe(out chan<- *prometheus.Desc) { prometheus.DescribeByCollect(l, out) }

// Collect reads the load.
func (l *loads) Collect(out chan<- prometheus.Metric) {
	for _, load := range l.read() {
		for desc, value := range map[*prometheus.Desc]int{l.running: load.Running, l.waiting: load.Waiting, l.limit: load.Limit} {
			out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(value), load.Class)
		}
	}
}

// hostLoads are the metrics of the LXD hosts that the client of MAAS lets work.
type hostLoads struct {
	read                    func() (most int, hosts []maas.HostLoad)
	running, waiting, limit *prometheus.Desc
}

// watchHostLoads adds the metrics of a client's hosts.
func (m *metrics) watchHostLoads(read func() (int, []maas.HostLoad)) {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("lxdprovisioner_maas_host_requests_"+name, help, labels, nil)
	}
	m.registry.MustRegister(&hostLoads{
		read:    read,
		running: desc("in_flight", "Requests that one LXD host works on, such as compositions, by host; hosts without any are left out.", "host"),
		waiting: desc("waiting", "Requests that wait for one LXD host, by host.", "host"),
		limit:   desc("limit", "How many requests may work on one LXD host at a time."),
	})
}

// Describe tells the registry what there is.
func (l *hostLoads) Describe(out chan<- *prometheus.Desc) { prometheus.DescribeByCollect(l, out) }

// Collect reads the load.
func (l *hostLoads) Collect(out chan<- prometheus.Metric) {
	most, hosts := l.read()
	out <- prometheus.MustNewConstMetric(l.limit, prometheus.GaugeValue, float64(most))
	for _, h := range hosts {
		out <- prometheus.MustNewConstMetric(l.running, prometheus.GaugeValue, float64(h.Running), string(h.Host))
		out <- prometheus.MustNewConstMetric(l.waiting, prometheus.GaugeValue, float64(h.Waiting), string(h.Host))
	}
}

// watchPeers adds the metrics of the replicas.
func (m *metrics) watchPeers(peers *replicas.Group) {
	m.registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "lxdprovisioner_replicas", Help: "Replicas that share the hosts; 0 where that is not known, and every host is this replica's own.",
		}, func() float64 { return float64(peers.Members()) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "lxdprovisioner_replicas_changes_total", Help: "How often the replicas that share the hosts have become others, or unknown.",
		}, func() float64 { return float64(peers.Changes()) }),
	)
}

// server serves /metrics.
func (m *metrics) server() *http.Server {
	const slowest = 10 * time.Second
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	return &http.Server{Handler: mux, ReadHeaderTimeout: slowest}
}
