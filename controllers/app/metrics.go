package app

import (
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

// The linker sets Version before this is read.
var buildInfo = prometheus.NewGauge(prometheus.GaugeOpts{
	Name: "capmaas_build_info", Help: "1, with the version of the manager as a label.", ConstLabels: prometheus.Labels{"version": Version},
})

func init() { //nolint:gochecknoinits // metrics are registered once a process
	buildInfo.Set(1)
	metrics.Registry.MustRegister(buildInfo)
}
