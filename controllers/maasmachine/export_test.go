package maasmachine

import (
	"context"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// What the tests of pure functions reach.
var (
	AttemptName     = attemptName
	ResourcesOf     = resourcesOf
	PlacementOf     = placementOf
	NetworkOf       = networkOf
	ConstraintsOf   = constraintsOf
	ImageOf         = imageOf
	GroupOf         = groupOf
	MetalDeployment = metalDeploymentOf
	Unsupported     = unsupported
	AntiAffinity    = antiAffinityOf
	ZoneOf          = zoneOf
)

// MayExist says of each stored attempt whether it counts among the peers.
func MayExist(m *infrav1.MaasMachine, now time.Time) (map[string]bool, error) {
	all, err := attemptsOf(m)
	exist := map[string]bool{}
	for i := range all {
		exist[all[i].Name] = all[i].mayExist(now)
	}
	return exist, err
}

// Unproved gives the stored attempt that the absences do not cover.
func Unproved(m *infrav1.MaasMachine, absences []*lxdprovisionerv1.Absence) (string, error) {
	all, err := attemptsOf(m)
	return unproved(all.protos(), absences), err
}

// FailedHosts gives the hosts of the stored attempts that failed, those that rest, and when the first of them is due.
func FailedHosts(m *infrav1.MaasMachine, now time.Time, first, longest time.Duration) (failed, resting []string, due time.Time, err error) {
	all, err := attemptsOf(m)
	failed, resting, due = all.failedHosts(now, first, longest)
	return failed, resting, due, err
}

// Record is what a reconcile believes of a machine.
type Record = record

// Read reads a machine as a reconcile does before it stores an attempt.
func Read(ctx context.Context, r *Reconciler, key client.ObjectKey) (*Record, error) {
	return r.readRecord(ctx, key)
}

// StoreAttempt stores a first attempt of the name on the host.
func StoreAttempt(ctx context.Context, r *Reconciler, rec *Record, name, hostID string) error {
	return r.store(ctx, rec, attempts{{Number: 1, Name: name, HostID: hostID, HostName: hostID, SentAt: now(r.Clock)}}, "cluster")
}

// RemoveFinalizer lets the machine go.
func RemoveFinalizer(ctx context.Context, r *Reconciler, rec *Record) error {
	return r.removeFinalizer(ctx, &scope{record: rec})
}

// Census counts the phases of machines apart from those of the process. It implements prometheus.Collector.
type Census struct{ *census }

// NewCensus makes a census that has seen nothing.
func NewCensus() Census { return Census{newCensus()} }

// Seen is what one reconcile of a machine comes to.
type Seen struct {
	// Stage is where it stops: waiting, host, compose, deploy, running, deleting or gone.
	Stage string
	// SentAt is when the composition was sent; zero where none is known of.
	SentAt time.Time
	// State is what the service says of the machine; none where it was not asked or did not answer.
	State lxdprovisionerv1.MachineState
	// Nothing was learnt by it.
	Nothing bool
}

// See notes where a reconcile of the machine came to.
func (c Census) See(m *infrav1.MaasMachine, seen Seen, now time.Time) {
	stages := map[string]stage{
		"waiting": stageBootstrap, "host": stageHost, "compose": stageCompose, "deploy": stageDeploy, "running": stageRunning,
		"deleting": stageDeleting, "gone": stageGone,
	}
	s := &scope{machine: m, stage: stages[seen.Stage], keepStatus: seen.Nothing}
	if !seen.SentAt.IsZero() {
		s.current = &attempt{SentAt: &metav1.Time{Time: seen.SentAt}}
	}
	if seen.State != lxdprovisionerv1.MachineState_MACHINE_STATE_UNSPECIFIED {
		s.found = &found{status: &lxdprovisionerv1.MachineStatus{State: seen.State}}
	}
	c.see(s, now)
}

// Forget drops a machine that is gone or paused.
func (c Census) Forget(key client.ObjectKey) { c.forget(key) }

// SharedRead gives the function by which callers share a read.
func SharedRead[T any](read func(context.Context) (T, error)) func(context.Context) (T, error) {
	return newSharedRead(read).get
}
