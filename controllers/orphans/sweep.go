// Package orphans looks for VMs in MAAS that belong to no MaasMachine, tells of them, and removes those that somebody names.
// A VM is believed to be an orphan only by its mark and after a long look; what has no mark, or is marked for a cluster that
// is not here, is told apart and never touched (docs/protocol-coverage.md 5.1).
package orphans

import (
	"context"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

const (
	// fewestReads is in how many sweeps a VM must have had no owner before it is called an orphan.
	fewestReads = 2
	// Longest is longer than any creation takes: a VM without an owner is not called an orphan before it was seen for so long.
	Longest = time.Hour
	// Retry is the time between a sweep that failed and the next: MAAS is away, or somebody changed a MaasCluster meanwhile.
	Retry = time.Minute
	// page is how many VMs are asked for at a time, the contract's limit.
	page = 1000
	// jitter spreads the sweeps of several managers on one MAAS.
	jitter = 0.1
)

// Sweep compares the VMs of MAAS with the objects that this manager sees. All fields but Recorder, Namespace and WatchFilter
// are required.
type Sweep struct {
	// Client writes, Reader reads from the API server itself.
	Client client.Client
	Reader client.Reader
	// VMs is the service.
	VMs lxdprovisionerv1.LXDProvisionerClient
	// Recorder records events on MaasClusters.
	Recorder events.EventRecorder
	// Namespace is the only one that is looked at; empty for all. Only a manager that looks at all tells of VMs whose cluster it
	// does not know: in one namespace they are most likely another manager's.
	Namespace string
	// WatchFilter is the value of the watch-filter label of the MaasClusters that are this manager's; empty for all.
	WatchFilter string
	// Interval is the time between two sweeps, Retry that after one that failed, so that a request does not wait for long. MinAge
	// is how long a VM must have been seen without an owner.
	Interval, Retry, MinAge time.Duration
	// Clock tells the time.
	Clock func() time.Time

	mu    sync.Mutex
	seen  map[string]sighting // by system id
	told  map[series]bool
	early chan struct{}
}

// sighting is since when, and in how many sweeps, a VM has had no owner.
type sighting struct {
	since time.Time
	reads int
}

// NeedLeaderElection says that only the leader sweeps.
func (s *Sweep) NeedLeaderElection() bool { return true }

// Start sweeps until the context ends. A sweep that fails is logged, counted, and made again before the next one is due.
func (s *Sweep) Start(ctx context.Context) error {
	log := ctrl.LoggerFrom(ctx).WithName("orphans")
	ctx = ctrl.LoggerInto(ctx, log)
	for {
		next := s.Interval
		if _, err := s.Once(ctx); err != nil && ctx.Err() == nil {
			log.Error(err, "Looking for orphans")
			next = min(s.Retry, s.Interval)
		}
		timer := time.NewTimer(wait.Jitter(next, jitter))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		case <-s.asked():
			timer.Stop()
		}
	}
}

// Ask lets the next sweep begin at once.
func (s *Sweep) Ask() {
	select {
	case s.asked() <- struct{}{}:
	default:
	}
}

func (s *Sweep) asked() chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.early == nil {
		s.early = make(chan struct{}, 1)
	}
	return s.early
}

// Once makes one sweep: it tells what it found and takes up what is asked to be removed. The error is that of a read, whose
// sweep concludes nothing, or that of a request that could not be taken up.
func (s *Sweep) Once(ctx context.Context) (Report, error) {
	report, err := s.once(ctx)
	outcome := outcomeDone
	if err != nil {
		outcome = outcomeFailed
	}
	sweeps.WithLabelValues(outcome).Inc()
	return report, err
}

func (s *Sweep) once(ctx context.Context) (Report, error) {
	report, clusters, err := s.look(ctx)
	if err != nil {
		return Report{}, err
	}
	s.tell(ctx, report, clusters)
	return report, s.takeUp(ctx, report, clusters)
}

// look reads the VMs first and the objects then: a VM that is being made stands in an object's attempts before MAAS shows
// it, so an owner that is not found was not overtaken.
func (s *Sweep) look(ctx context.Context) (Report, []cluster, error) {
	vms, err := s.list(ctx)
	if err != nil {
		return Report{}, nil, err
	}
	known, err := s.holdings(ctx)
	if err != nil {
		return Report{}, nil, err
	}
	return s.classify(vms, known), known.clusters, nil
}

func (s *Sweep) list(ctx context.Context) ([]*lxdprovisionerv1.VM, error) {
	var vms []*lxdprovisionerv1.VM
	request := &lxdprovisionerv1.ListVMsRequest{PageSize: new(int32(page))}
	for {
		answer, err := s.VMs.ListVMs(ctx, request)
		if err != nil {
			return nil, fmt.Errorf("list the VMs of MAAS: %w", err)
		}
		vms = append(vms, answer.GetVms()...)
		if answer.GetNextPageToken() == "" {
			return vms, nil
		}
		request.PageToken = answer.GetNextPageToken()
	}
}
