package maasmachine

import (
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

var (
	handedOver = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "capmaas_deletions_handed_over_total", Help: "Machines that were let go with VMs on a host that did not answer.",
	})
	pendingDeletions = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "capmaas_deletions_pending",
		Help: "Deletions that were handed over and are not done, by namespace and name of the MaasCluster whose annotation lists them; absent where there are none.",
	}, []string{"namespace", "cluster"})
	abandoned = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "capmaas_machines_abandoned_total", Help: "Machines that were let go without proof because an operator gave their VMs up.",
	})
	creations = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "capmaas_creations", Help: "Machines of a cluster that are being made or wait for their turn, by namespace, cluster and state: making or waiting.",
	}, []string{"namespace", "cluster", "state"})
	creationsLimit = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "capmaas_creations_limit", Help: "How many machines of one cluster are made at a time; 0 for no limit.",
	})
	givenUp = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "capmaas_attempts_given_up_total", Help: "Attempts to make a VM that came to nothing, by reason.",
	}, []string{"reason"})
	mishaps = newMishaps()
	// phaseCensus is one for the process, as the other metrics are.
	phaseCensus = newCensus()
)

func newMishaps() *prometheus.CounterVec {
	mishaps := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "capmaas_machine_mishaps_total",
		Help: "Times at which a machine came into trouble, by the reason of its condition MachineDeployed and by phase: provisioning or running.",
	}, []string{"reason", "phase"})
	// From the start, so that the first mishap is a rise.
	for _, reason := range troubled {
		for _, phase := range []string{inProvisioning, phaseRunning} {
			mishaps.WithLabelValues(reason, phase)
		}
	}
	return mishaps
}

func init() { //nolint:gochecknoinits // metrics are registered once a process
	metrics.Registry.MustRegister(handedOver, pendingDeletions, abandoned, creations, creationsLimit, givenUp, mishaps, phaseCensus)
}
