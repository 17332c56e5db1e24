package maasmachine

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/cluster-api/util/conditions"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// The phases in which a machine can be, as metrics call them.
const (
	phaseWaiting       = "waiting"       // for infrastructure, user data, an address or its turn
	phasePlacing       = "placing"       // an LXD host is looked for
	phaseComposing     = "composing"     // MAAS makes the VM
	phaseCommissioning = "commissioning" // MAAS commissions the VM
	phaseAllocating    = "allocating"    // a physical machine is looked for
	phaseDeploying     = "deploying"
	phaseRunning       = "running"
	phaseDeleting      = "deleting"
)

// phasesOf are the phases that machines of a mode can be in.
var phasesOf = map[infrav1.ProvisioningMode][]string{
	infrav1.ModeLXD: {
		phaseWaiting, phasePlacing, phaseComposing, phaseCommissioning, phaseDeploying, phaseRunning, phaseDeleting,
	},
	infrav1.ModeBareMetal: {phaseWaiting, phaseAllocating, phaseDeploying, phaseRunning, phaseDeleting},
}

// phaseName is the phase that the reconcile came to.
func (s *scope) phaseName() string {
	switch s.stage {
	case stageInfrastructure, stageBootstrap, stageStaticIP, stageTurn:
		return phaseWaiting
	case stageHost:
		return phasePlacing
	case stageCompose:
		switch {
		case !s.isVM():
			return phaseAllocating
		case s.found != nil && s.found.state() == lxdprovisionerv1.MachineState_MACHINE_STATE_COMMISSIONING:
			return phaseCommissioning
		default:
			return phaseComposing
		}
	case stageDeploy:
		return phaseDeploying
	case stageRunning:
		return phaseRunning
	case stageDeleting, stageGone:
		return phaseDeleting
	default:
		return phaseWaiting
	}
}

// census knows in which phase each machine is that this process reconciles, and since when.
type census struct {
	durations      *prometheus.HistogramVec
	machines, told *prometheus.Desc

	mu    sync.Mutex
	known map[types.NamespacedName]standing
}

// standing is where one machine is.
type standing struct {
	uid   types.UID
	mode  infrav1.ProvisioningMode
	phase string
	since time.Time
	// whole says that since is when the phase began, and not when this process first saw the machine in it.
	whole bool
}

// durations of phases run from seconds to what a stuck deployment takes until somebody looks.
var phaseBuckets = []float64{1, 5, 15, 30, 60, 120, 300, 600, 900, 1200, 1800, 2700, 3600, 7200}

func newCensus() *census {
	return &census{
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "capmaas_machine_phase_seconds",
			Help:    "Seconds that machines spent in a phase, counted when they leave it, by mode and phase. Phases that began before the manager count where their beginning is stored.",
			Buckets: phaseBuckets,
		}, []string{"mode", "phase"}),
		machines: prometheus.NewDesc("capmaas_machines",
			"MaasMachines by mode and phase; paused ones are left out.", []string{"mode", "phase"}, nil),
		told: prometheus.NewDesc("capmaas_machines_oldest_timestamp_seconds",
			"Since when the machine that has been in the phase for longest has been in it, as Unix time; absent where none is, and for running ones.",
			[]string{"mode", "phase"}, nil),
		known: map[types.NamespacedName]standing{},
	}
}

// see notes where a reconcile came to. A machine that is gone is counted and forgotten.
func (c *census) see(s *scope, now time.Time) {
	if s.keepStatus {
		return
	}
	key := types.NamespacedName{Namespace: s.machine.Namespace, Name: s.machine.Name}
	c.mu.Lock()
	defer c.mu.Unlock()
	before, known := c.known[key]
	if known && before.uid != s.machine.UID {
		known = false
	}
	if s.stage == stageGone {
		c.observe(before, known, now)
		delete(c.known, key)
		return
	}
	next := standing{uid: s.machine.UID, mode: s.machine.Spec.Mode(), phase: s.phaseName(), since: now, whole: known}
	if known && (before.phase == next.phase && before.mode == next.mode || s.unheard()) {
		return
	}
	ended := now
	if known && s.madeAtOnce(before.phase, next.phase) {
		ended = s.current.SentAt.Time
		c.durations.WithLabelValues(string(next.mode), phaseComposing).Observe(seconds(ended, now))
	}
	c.observe(before, known, ended)
	if began := s.began(next.phase); !began.IsZero() {
		next.since, next.whole = began, true
	}
	c.known[key] = next
}

// unheard says whether nothing was heard of a VM that is there: it is in whatever phase it was in.
func (s *scope) unheard() bool { return s.isVM() && s.stage == stageDeploy && s.found == nil }

// observe counts a phase that has ended.
func (c *census) observe(ended standing, known bool, now time.Time) {
	if known && ended.whole && ended.phase != phaseRunning {
		c.durations.WithLabelValues(string(ended.mode), ended.phase).Observe(seconds(ended.since, now))
	}
}

// madeAtOnce says whether the VM was composed within one reconcile, so that nobody saw it in that phase.
func (s *scope) madeAtOnce(before, next string) bool {
	if !s.isVM() || s.current == nil || s.current.GivenUp || s.current.SentAt == nil {
		return false
	}
	return (before == phaseWaiting || before == phasePlacing) &&
		(next == phaseCommissioning || next == phaseDeploying || next == phaseRunning)
}

// began is when the phase began, where that is stored; else zero.
func (s *scope) began(phase string) time.Time {
	switch phase {
	case phaseDeleting:
		if s.machine.DeletionTimestamp != nil {
			return s.machine.DeletionTimestamp.Time
		}
	case phaseComposing:
		if s.current != nil && !s.current.GivenUp && s.current.SentAt != nil {
			return s.current.SentAt.Time
		}
	case phaseDeploying:
		if !s.isVM() && s.record != nil {
			allocated, _ := time.Parse(time.RFC3339, s.record.object.Annotations[infrav1.BareMetalAllocatedAtAnnotation])
			return allocated
		}
		if c := conditions.Get(s.machine, infrav1.LXDVMCreatedCondition); c != nil && c.Status == "True" {
			return c.LastTransitionTime.Time
		}
	}
	return time.Time{}
}

// forget drops an object that is gone, or paused.
func (c *census) forget(object types.NamespacedName) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.known, object)
}

// Describe tells the registry what there is.
func (c *census) Describe(out chan<- *prometheus.Desc) {
	c.durations.Describe(out)
	out <- c.machines
	out <- c.told
}

// Collect counts the machines. Phases without any are told as 0, so that they can be added up.
func (c *census) Collect(out chan<- prometheus.Metric) {
	c.durations.Collect(out)
	type place struct {
		mode  infrav1.ProvisioningMode
		phase string
	}
	counts, oldest := map[place]int{}, map[place]time.Time{}
	for mode, phases := range phasesOf {
		for _, phase := range phases {
			counts[place{mode, phase}] = 0
		}
	}
	c.mu.Lock()
	for _, one := range c.known {
		at := place{one.mode, one.phase}
		counts[at]++
		if since, ok := oldest[at]; !ok || one.since.Before(since) {
			oldest[at] = one.since
		}
	}
	c.mu.Unlock()
	for at, n := range counts {
		out <- prometheus.MustNewConstMetric(c.machines, prometheus.GaugeValue, float64(n), string(at.mode), at.phase)
	}
	for at, since := range oldest {
		if at.phase != phaseRunning {
			out <- prometheus.MustNewConstMetric(c.told, prometheus.GaugeValue, float64(since.Unix()), string(at.mode), at.phase)
		}
	}
}

// seconds is the time from one moment to another; the stored one may be of a clock that is ahead.
func seconds(from, to time.Time) float64 { return max(to.Sub(from).Seconds(), 0) }
