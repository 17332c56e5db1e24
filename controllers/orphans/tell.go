package orphans

import (
	"cmp"
	"context"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/capmaas/capmaas/api/records"
	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
)

var (
	gauge = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "capmaas_orphan_vms", Help: "VMs that belong to no MaasMachine, by LXD host and kind: orphan, suspect, unknown_cluster or unmarked.",
	}, []string{"host", "kind"})
	sweeps   = newSweeps()
	requests = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "capmaas_orphan_removals_total", Help: "Requests to remove orphans, by outcome: accepted or refused.",
	}, []string{"outcome"})
)

// The outcomes of a sweep.
const (
	outcomeDone   = "done"
	outcomeFailed = "failed"
)

func newSweeps() *prometheus.CounterVec {
	sweeps := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "capmaas_orphan_sweeps_total",
		Help: "Comparisons of MAAS's VMs with the MaasMachines, what was asked to be removed taken up with them, by outcome: done or failed.",
	}, []string{"outcome"})
	// From the start, so that the first outcome is a rise.
	for _, outcome := range []string{outcomeDone, outcomeFailed} {
		sweeps.WithLabelValues(outcome)
	}
	return sweeps
}

func init() { metrics.Registry.MustRegister(gauge, sweeps, requests) } //nolint:gochecknoinits // metrics are registered once a process

// series is one value of the gauge.
type series struct {
	host string
	kind Kind
}

// tell sets the metric, records an event on each MaasCluster that has orphans, and logs what is no cluster's.
func (s *Sweep) tell(ctx context.Context, report Report, clusters []cluster) {
	s.count(report)
	log := ctrl.LoggerFrom(ctx)
	for i := range clusters {
		one := &clusters[i]
		found := report.of(one, Orphan)
		if len(found) == 0 {
			continue
		}
		log.Info("Found VMs of a cluster without a MaasMachine", "MaasCluster", klog.KObj(one.infra), "vms", names(found))
		s.event(one, corev1.EventTypeWarning, "OrphansFound", "%d VMs are marked for the cluster and belong to no MaasMachine: %s; name them in the annotation %s to have them deleted",
			len(found), describe(found), infrav1.RemoveOrphansAnnotation)
	}
	for _, kind := range []Kind{UnknownCluster, Unmarked} {
		if found := report.of(nil, kind); len(found) > 0 {
			log.Info("Found VMs that may be somebody else's, they are left alone", "kind", string(kind), "count", len(found), "vms", describe(found))
		}
	}
}

// count sets the metric. Values of an earlier sweep that hold no longer become 0, so that whoever watches them sees them end.
func (s *Sweep) count(report Report) {
	counts := map[series]int{}
	for _, f := range report.Found {
		counts[series{host: f.VM.GetHostName(), kind: f.Kind}]++
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.told == nil {
		s.told = map[series]bool{}
	}
	for one := range counts {
		s.told[one] = true
	}
	for one := range s.told {
		gauge.WithLabelValues(one.host, string(one.kind)).Set(float64(counts[one]))
	}
}

func (s *Sweep) event(c *cluster, kind, reason, note string, args ...any) {
	if s.Recorder != nil {
		s.Recorder.Eventf(c.infra, nil, kind, reason, reason, note, args...)
	}
}

// of gives what was found of a kind, by name; for a cluster, or for none.
func (r Report) of(c *cluster, kind Kind) []Found {
	var some []Found
	for _, f := range r.Found {
		if f.cluster == c && f.Kind == kind {
			some = append(some, f)
		}
	}
	slices.SortFunc(some, func(a, b Found) int { return cmp.Compare(a.VM.GetName(), b.VM.GetName()) })
	return some
}

func names(some []Found) []string {
	all := make([]string, 0, len(some))
	for _, f := range some {
		all = append(all, f.VM.GetName())
	}
	return all
}

// describe names the first of them, each with its host.
func describe(some []Found) string {
	var all []string
	for _, f := range some {
		all = append(all, records.Placed(f.VM.GetName(), f.VM.GetHostName()))
	}
	return records.Enumerate(all)
}
