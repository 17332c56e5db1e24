package machinewatch

import (
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

var (
	coveredMachines = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "capmaas_watched_machines", Help: "Machines of whose changes an open stream tells, by kind.",
	}, []string{"kind"})
	interruptions = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "capmaas_watch_interruptions_total", Help: "Streams of changes that broke or could not be opened, by kind.",
	}, []string{"kind"})
)

func init() { metrics.Registry.MustRegister(coveredMachines, interruptions) } //nolint:gochecknoinits // metrics are registered once a process
