package metrics

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/maas"
)

// Observe counts one request to MAAS.
func (m *Metrics) Observe(o maas.Observation) {
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

// WatchLoads adds the metrics of a client's load.
func (m *Metrics) WatchLoads(read func() []maas.Load) {
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

// WatchHostLoads adds the metrics of a client's hosts.
func (m *Metrics) WatchHostLoads(read func() (int, []maas.HostLoad)) {
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

// Describe tells the registry what there is, the hosts' too while none is busy.
func (l *hostLoads) Describe(out chan<- *prometheus.Desc) {
	describe(out, l.running, l.waiting, l.limit)
}

// Collect reads the load.
func (l *hostLoads) Collect(out chan<- prometheus.Metric) {
	most, hosts := l.read()
	out <- prometheus.MustNewConstMetric(l.limit, prometheus.GaugeValue, float64(most))
	for _, h := range hosts {
		out <- prometheus.MustNewConstMetric(l.running, prometheus.GaugeValue, float64(h.Running), string(h.Host))
		out <- prometheus.MustNewConstMetric(l.waiting, prometheus.GaugeValue, float64(h.Waiting), string(h.Host))
	}
}

func describe(out chan<- *prometheus.Desc, all ...*prometheus.Desc) {
	for _, desc := range all {
		out <- desc
	}
}
