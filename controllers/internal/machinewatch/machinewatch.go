// Package machinewatch tells the MaasMachine controller when MAAS has something new of a machine. It names every machine
// that is followed to the service in one stream of VMs and one of physical machines, and wakes the object whose machine is
// not as its last reconcile saw it. While no stream tells of a machine, Covers is false and the controller has to ask
// again by itself.
package machinewatch

import (
	"context"
	"math/rand/v2"
	"time"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/capmaas/capmaas/controllers/internal/provisioner"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// Subject is a machine as an object's reconcile saw it. VM or Machine is set, with the system id.
type Subject struct {
	// Object is whom a change wakes.
	Object client.ObjectKey
	// VM is the attempt that made the VM.
	VM *lxdprovisionerv1.Attempt
	// Machine is the allocation of a physical machine.
	Machine *lxdprovisionerv1.MachineRef
	// Status is what the service said of it.
	Status *lxdprovisionerv1.MachineStatus
}

// Timing says how soon a stream is opened again.
type Timing struct {
	// Settle is how long the set of machines may go on changing before a stream is opened with the new set.
	Settle time.Duration
	// FirstDelay and LongestDelay bound the growing wait after a stream that could not be opened or broke.
	FirstDelay, LongestDelay time.Duration
}

// DefaultTiming is that of production, with every time multiplied by scale. A stream with the new set costs MAAS nothing
// for the machines that the service knows already.
func DefaultTiming(scale float64) Timing {
	scaled := func(d time.Duration) time.Duration { return time.Duration(float64(d) * scale) }
	return Timing{Settle: scaled(2 * time.Second), FirstDelay: scaled(time.Second), LongestDelay: scaled(30 * time.Second)}
}

// Watch follows machines. A nil Watch follows none. It is safe for concurrent use.
type Watch struct {
	vms, machines *follower
}

// New makes a Watch over the service. random gives numbers from 0 up to 1.
func New(service *provisioner.Client, timing Timing) *Watch {
	return &Watch{
		vms:      newFollower("vm", timing, rand.Float64, openVMs(service.VMs)),
		machines: newFollower("machine", timing, rand.Float64, openMachines(service.Metal)),
	}
}

// Source is the controller's source of events. Streams are open only while the controller runs, which is while its manager
// is the leader.
func (w *Watch) Source() source.Source { //nolint:ireturn // the controller takes nothing else
	return source.Func(func(ctx context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		wake := func(object client.ObjectKey) { queue.Add(reconcile.Request{NamespacedName: object}) }
		go w.vms.run(ctx, wake)
		go w.machines.run(ctx, wake)
		return nil
	})
}

// Follow watches a machine from what was just read of it, in place of whatever was followed for the object before.
func (w *Watch) Follow(s Subject) {
	switch {
	case w == nil:
	case s.VM != nil:
		w.machines.forget(s.Object)
		w.vms.follow(s, s.VM.GetName())
	case s.Machine != nil:
		w.vms.forget(s.Object)
		w.machines.follow(s, s.Machine.GetSystemId())
	}
}

// Forget ends the watch for an object.
func (w *Watch) Forget(object client.ObjectKey) {
	if w != nil {
		w.vms.forget(object)
		w.machines.forget(object)
	}
}

// News says whether a stream has told of a change of the object's machine since News was last asked.
func (w *Watch) News(object client.ObjectKey) bool {
	if w == nil {
		return false
	}
	vm, machine := w.vms.takeNews(object), w.machines.takeNews(object)
	return vm || machine
}

// Covers says whether a stream is open that tells of every change of the object's machine.
func (w *Watch) Covers(object client.ObjectKey) bool {
	return w != nil && (w.vms.covers(object) || w.machines.covers(object))
}
