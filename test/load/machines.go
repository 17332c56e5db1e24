package load

import (
	"context"
	"fmt"
	"strings"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util/conditions"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/test/scheme"
	"github.com/capmaas/capmaas/test/stack"
)

// perCluster is how many machines a cluster has at most, controlPlanes how many of them serve its API.
const (
	perCluster    = 100
	controlPlanes = 3
)

// Create makes so many machines at once, in new clusters, and gives their names. It does not wait for them.
func (f *Fleet) Create(ctx context.Context, count int) ([]string, error) {
	f.batches++
	var plans []stack.MachinePlan
	names := make([]string, count)
	for n := range count {
		if n%perCluster == 0 {
			if err := f.makeCluster(ctx, fmt.Sprintf("c%d-%d", f.batches, n/perCluster)); err != nil {
				return nil, err
			}
		}
		names[n] = fmt.Sprintf("%s-m%d", f.clusters[len(f.clusters)-1], n%perCluster)
		plans = append(plans, f.plan(names[n], n%perCluster < controlPlanes))
	}
	return names, inParallel(count, func(i int) error { return stack.MakeMachine(ctx, f.client, plans[i]) })
}

// plan is a small VM of the cluster that was made last.
func (f *Fleet) plan(name string, controlPlane bool) stack.MachinePlan {
	plan := stack.MachinePlan{
		Namespace: f.namespace, Name: name, Cluster: f.clusters[len(f.clusters)-1], ControlPlane: controlPlane,
		Spec: infrav1.MaasMachineSpec{
			ProvisioningMode: infrav1.ModeLXD, Image: "ubuntu/jammy",
			MinCPU: new(int32(2)), MinMemory: new(int32(4096)), MinDiskSize: new(int32(40)),
		},
	}
	if f.options.StaticIP {
		plan.Spec.StaticIP = f.nextAddress()
	}
	return plan
}

// nextAddress is a fixed address outside of what MAAS gives out by itself.
func (f *Fleet) nextAddress() *infrav1.StaticIPConfig {
	const first, each = 100, 200
	n := f.addresses
	f.addresses++
	return &infrav1.StaticIPConfig{IP: fmt.Sprintf("10.10.%d.%d", first+n/each, 1+n%each), CIDR: "10.10.0.0/16", Gateway: "10.10.0.1"}
}

func (f *Fleet) makeCluster(ctx context.Context, name string) error {
	owner, maasCluster, err := stack.MakeCluster(ctx, f.client, f.namespace, name)
	if err != nil {
		return err
	}
	key := client.ObjectKeyFromObject(maasCluster)
	err = f.until(ctx, func() (bool, error) {
		err := f.client.Get(ctx, key, maasCluster)
		return ptr.Deref(maasCluster.Status.Initialization.Provisioned, false), err
	})
	if err != nil {
		return fmt.Errorf("wait for the infrastructure of %s: %w", name, err)
	}
	f.clusters = append(f.clusters, name)
	return stack.Mirror(ctx, f.client, owner, maasCluster)
}

// AwaitReady waits until all these machines are provisioned.
func (f *Fleet) AwaitReady(ctx context.Context, names []string) error {
	return f.await(ctx, fmt.Sprintf("%d machines to be provisioned", len(names)), func() bool { return f.machines.ready(names) == len(names) })
}

// Delete asks for the deletion of these machines.
func (f *Fleet) Delete(ctx context.Context, names []string) error {
	return inParallel(len(names), func(i int) error {
		m := &infrav1.MaasMachine{ObjectMeta: metav1.ObjectMeta{Namespace: f.namespace, Name: names[i]}}
		return client.IgnoreNotFound(f.client.Delete(ctx, m))
	})
}

// AwaitGone waits until there is none of these machines any more, and removes what core would remove then.
func (f *Fleet) AwaitGone(ctx context.Context, names []string) error {
	err := f.await(ctx, fmt.Sprintf("%d machines to be gone", len(names)), func() bool { return f.machines.there(names) == 0 })
	if err != nil {
		return err
	}
	return inParallel(len(names), func(i int) error { return stack.RemoveMachine(ctx, f.client, f.namespace, names[i]) })
}

// removeClusters takes away all clusters, whose machines are gone: what is measured next is not to pay for them.
func (f *Fleet) removeClusters(ctx context.Context) error {
	for _, name := range f.clusters {
		if err := stack.RemoveCluster(ctx, f.client, f.namespace, name, f.until); err != nil {
			return err
		}
	}
	f.clusters = nil
	return nil
}

// machines is what the API server has last told of the MaasMachines.
type machines struct {
	mu    sync.Mutex
	known map[string]*infrav1.MaasMachine
	// lost are those that were ever said to be missing.
	lost map[string]bool
}

// watchMachines follows the MaasMachines of a namespace, so that waiting for them costs the API server nothing.
func watchMachines(ctx context.Context, config *rest.Config, namespace string) (*machines, context.CancelFunc, error) {
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	m := &machines{known: map[string]*infrav1.MaasMachine{}, lost: map[string]bool{}}
	objects, err := cache.New(config, cache.Options{Scheme: scheme.New(), DefaultNamespaces: map[string]cache.Config{namespace: {}}})
	if err != nil {
		return nil, stop, fmt.Errorf("watch the API server: %w", err)
	}
	informer, err := objects.GetInformer(ctx, &infrav1.MaasMachine{}, cache.BlockUntilSynced(false))
	if err != nil {
		return nil, stop, fmt.Errorf("watch MaasMachines: %w", err)
	}
	_, err = informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { m.keep(object) },
		UpdateFunc: func(_, object any) { m.keep(object) },
		DeleteFunc: m.drop,
	})
	if err != nil {
		return nil, stop, fmt.Errorf("watch MaasMachines: %w", err)
	}
	go func() { _ = objects.Start(ctx) }()
	if !objects.WaitForCacheSync(ctx) {
		return nil, stop, fmt.Errorf("watch MaasMachines: %w", ctx.Err())
	}
	return m, stop, nil
}

func (m *machines) keep(object any) {
	machine, ok := object.(*infrav1.MaasMachine)
	if !ok {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.known[machine.Name] = machine
	for _, c := range machine.Status.Conditions {
		if c.Reason == infrav1.VMMissingReason {
			m.lost[machine.Name] = true
		}
	}
}

// missed is how many machines were ever said to be missing.
func (m *machines) missed() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.lost)
}

func (m *machines) drop(object any) {
	if last, ok := object.(toolscache.DeletedFinalStateUnknown); ok {
		object = last.Obj
	}
	machine, ok := object.(*infrav1.MaasMachine)
	if !ok {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.known, machine.Name)
}

// count is how many of these machines hold something.
func (m *machines) count(names []string, holds func(*infrav1.MaasMachine) bool) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	count := 0
	for _, name := range names {
		if machine, ok := m.known[name]; ok && holds(machine) {
			count++
		}
	}
	return count
}

func (m *machines) there(names []string) int {
	return m.count(names, func(*infrav1.MaasMachine) bool { return true })
}

func (m *machines) ready(names []string) int {
	return m.count(names, func(machine *infrav1.MaasMachine) bool {
		return ptr.Deref(machine.Status.Initialization.Provisioned, false)
	})
}

// vm is the hostname of a machine's VM.
func (m *machines) vm(name string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if machine, ok := m.known[name]; ok {
		return machine.Annotations[infrav1.VMNameAnnotation]
	}
	return ""
}

// deployed says whether the machine's condition says so.
func (m *machines) deployed(name string) bool {
	return m.count([]string{name}, func(machine *infrav1.MaasMachine) bool {
		return conditions.IsTrue(machine, infrav1.MachineDeployedCondition)
	}) == 1
}

// String tells of one machine in each combination of reasons, for who waits in vain.
func (m *machines) String() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	seen := map[string]int{}
	for _, machine := range m.known {
		var text strings.Builder
		fmt.Fprintf(&text, "provisioned=%t deleting=%t", ptr.Deref(machine.Status.Initialization.Provisioned, false), !machine.DeletionTimestamp.IsZero())
		for _, c := range machine.Status.Conditions {
			if c.Status != metav1.ConditionTrue && c.Type != clusterv1.PausedCondition {
				fmt.Fprintf(&text, " %s=%s", c.Type, c.Reason)
			}
		}
		seen[text.String()]++
	}
	return fmt.Sprint(seen)
}
