package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/test/process"
)

// cluster is the sample cluster.
type cluster struct {
	*stack
	name string
	// machines is how many MaasMachines the sample has.
	machines int
}

// applySample creates every object of deploy/samples/demo.
func applySample(ctx context.Context, st *stack) (*cluster, error) {
	objects, err := st.ApplySample(ctx)
	if err != nil {
		return nil, err
	}
	c := &cluster{stack: st}
	for _, object := range objects {
		switch object.GetKind() {
		case "Cluster":
			c.name = object.GetName()
		case "MaasMachine":
			c.machines++
		}
	}
	return c, nil
}

// awaitReady shows the machines until all are ready.
func (c *cluster) awaitReady(ctx context.Context, s *screen) error {
	return c.watch(ctx, s, "every machine to be ready", untilReady, func(machines []infrav1.MaasMachine) error {
		ready := 0
		for i := range machines {
			if isReady(&machines[i]) {
				ready++
			}
		}
		if ready < c.machines {
			return fmt.Errorf("%d of %d machines are ready", ready, c.machines)
		}
		return nil
	})
}

// awaitGone shows the machines until none is left, nor the cluster.
func (c *cluster) awaitGone(ctx context.Context, s *screen) error {
	return c.watch(ctx, s, "everything to be deleted", untilGone, func(machines []infrav1.MaasMachine) error {
		if len(machines) > 0 {
			return fmt.Errorf("%d machines are left", len(machines))
		}
		err := c.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: c.name}, &clusterv1.Cluster{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return errors.Join(errors.New("the Cluster is left"), err)
	})
}

// watch shows the machines until done says so.
func (c *cluster) watch(ctx context.Context, s *screen, what string, atMost time.Duration, done func([]infrav1.MaasMachine) error) error {
	return process.Await(ctx, what, atMost, c.Alive, func(ctx context.Context) error {
		var machines infrav1.MaasMachineList
		if err := c.Client.List(ctx, &machines, client.InNamespace(namespace)); err != nil {
			return fmt.Errorf("list MaasMachines: %w", err)
		}
		s.show([]string{"MODE", "ZONE", "HOST", "STATE", "READY", "DOING"}, rows(machines.Items))
		return done(machines.Items)
	})
}

func rows(machines []infrav1.MaasMachine) []row {
	out := make([]row, 0, len(machines))
	for i := range machines {
		m := &machines[i]
		out = append(out, row{name: m.Name, cells: []string{
			string(m.Spec.Mode()), dash(m.Status.FailureDomain), dash(ptr.Deref(m.Status.LXDHost, "")),
			dash(string(ptr.Deref(m.Status.MachineState, ""))), fmt.Sprint(isReady(m)), doing(m),
		}})
	}
	return out
}

// doing is what the Ready condition says that the machine waits for.
func doing(m *infrav1.MaasMachine) string {
	if !m.DeletionTimestamp.IsZero() {
		return "deleting"
	}
	if ready := meta.FindStatusCondition(m.Status.Conditions, clusterv1.ReadyCondition); ready != nil && ready.Status != metav1.ConditionTrue {
		return firstLine(ready.Message)
	}
	return ""
}

func isReady(m *infrav1.MaasMachine) bool {
	return meta.IsStatusConditionTrue(m.Status.Conditions, clusterv1.ReadyCondition)
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimPrefix(text, "* "), "\n")
	if len(line) > 70 {
		line = line[:70] + "…"
	}
	return line
}

func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// prove says whether the control plane sits in three zones beside two bare-metal workers.
func (c *cluster) prove(ctx context.Context, s *screen) error {
	var machines infrav1.MaasMachineList
	if err := c.Client.List(ctx, &machines, client.InNamespace(namespace)); err != nil {
		return fmt.Errorf("list MaasMachines: %w", err)
	}
	var zones []string
	metal := 0
	for i := range machines.Items {
		m := &machines.Items[i]
		if m.Spec.Mode() != infrav1.ModeLXD {
			metal++
			continue
		}
		zones = append(zones, m.Status.FailureDomain)
	}
	slices.Sort(zones)
	if distinct := slices.Compact(slices.Clone(zones)); len(zones) != 3 || len(distinct) != 3 || metal != 2 {
		return fmt.Errorf("want three VMs in three zones and two bare-metal machines, have VMs in %v and %d bare-metal machines", zones, metal)
	}
	s.sayf("three control-plane VMs in three zones (%s), %d bare-metal workers beside them", strings.Join(zones, ", "), metal)
	return nil
}

// delete deletes the Cluster, as kubectl delete cluster would.
func (c *cluster) delete(ctx context.Context) error {
	object := &clusterv1.Cluster{}
	object.Namespace, object.Name = namespace, c.name
	if err := c.Client.Delete(ctx, object); err != nil {
		return fmt.Errorf("delete cluster %s: %w", c.name, err)
	}
	return nil
}
