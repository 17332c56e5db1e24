package metrics

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// health is what the last check of MAAS found.
type health struct {
	usable, problem *prometheus.Desc

	mu      sync.Mutex
	checked bool
	reason  string
}

func newHealth() *health {
	return &health{
		usable: prometheus.NewDesc("lxdprovisioner_maas_usable",
			"1 where the last check found that MAAS answers and lets us work, else 0; absent before the first check.", nil, nil),
		problem: prometheus.NewDesc("lxdprovisioner_maas_problem",
			"1 with the reason for which MAAS can't be used as it is; absent where there is none.", []string{"reason"}, nil),
	}
}

// Checked notes what a check of MAAS found: the reason of the fault, or nothing.
func (m *Metrics) Checked(reason string) {
	m.health.mu.Lock()
	defer m.health.mu.Unlock()
	m.health.checked, m.health.reason = true, reason
}

// Describe tells the registry what there is.
func (h *health) Describe(out chan<- *prometheus.Desc) { describe(out, h.usable, h.problem) }

// Collect tells of the last check.
func (h *health) Collect(out chan<- prometheus.Metric) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case !h.checked:
	case h.reason == "":
		out <- prometheus.MustNewConstMetric(h.usable, prometheus.GaugeValue, 1)
	default:
		out <- prometheus.MustNewConstMetric(h.usable, prometheus.GaugeValue, 0)
		out <- prometheus.MustNewConstMetric(h.problem, prometheus.GaugeValue, 1, h.reason)
	}
}
