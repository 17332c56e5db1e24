package maasmachine

import (
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

var (
	handedOver = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "capmaas_deletions_handed_over_total", Help: "Machines that were let go with VMs on a host that did not answer.",
	})
	abandoned = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "capmaas_machines_abandoned_total", Help: "Machines that were let go without proof because an operator gave their VMs up.",
	})
)

func init() { metrics.Registry.MustRegister(handedOver, abandoned) } //nolint:gochecknoinits // metrics are registered once a process
