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
	creations = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "capmaas_creations", Help: "Machines of a cluster that are being made or wait for their turn, by namespace, cluster and state: making or waiting.",
	}, []string{"namespace", "cluster", "state"})
	givenUp = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "capmaas_attempts_given_up_total", Help: "Attempts to make a VM that came to nothing, by reason.",
	}, []string{"reason"})
	mishaps = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "capmaas_machine_mishaps_total",
		Help: "Times at which a machine came into trouble, by the reason of its condition MachineDeployed and by phase: provisioning or running.",
	}, []string{"reason", "phase"})
)

func init() { metrics.Registry.MustRegister(handedOver, abandoned, creations, givenUp, mishaps) } //nolint:gochecknoinits // metrics are registered once a process
