package scenario

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	"github.com/capmaas/capmaas/services/maassim"
)

// still is how long nothing may happen where nothing should.
const still = 45 * time.Second

// MAASDown scales the cluster while MAAS answers nothing but its proxy's error page. The cluster stays reachable; once MAAS is back
// it grows, and shrinks again.
func (r *Run) MAASDown(ctx context.Context) error {
	if err := r.sim.AddFaults(maassim.Fault{Operation: "*", Preset: "bad-gateway"}); err != nil {
		return err
	}
	r.Timeline.Sayf("MAAS is down")
	if err := r.scaleTo(ctx, 5, 3, 2); err != nil {
		return err
	}
	before := r.fleet.Made()
	if err := r.during(ctx, func(s *state) error {
		if made := r.fleet.Made(); made != before {
			return fmt.Errorf("%d machines were switched on while MAAS was down", made-before)
		}
		if s.cluster == nil || !s.cluster.DeletionTimestamp.IsZero() {
			return errors.New("the cluster is gone")
		}
		return r.checkReachable(ctx)
	}); err != nil {
		return err
	}
	r.sim.ClearFaults()
	r.Timeline.Sayf("MAAS is back")
	if err := r.awaitSettled(ctx, "the cluster to grow after MAAS came back", 5, 3, 2); err != nil {
		return err
	}
	if err := r.scaleTo(ctx, 3, 2, 1); err != nil {
		return err
	}
	return r.awaitSettled(ctx, "the cluster to shrink", 3, 2, 1)
}

// Pause deletes the worker VM's Machine of a paused cluster. Nothing happens before the pause ends; then it is replaced.
func (r *Run) Pause(ctx context.Context) error {
	if err := r.patch(ctx, &clusterv1.Cluster{}, clusterName, `{"spec":{"paused":true}}`); err != nil {
		return err
	}
	s, err := r.look(ctx)
	if err != nil {
		return err
	}
	worker := &clusterv1.Machine{}
	for i := range s.machines {
		if strings.HasPrefix(s.machines[i].Name, vmName) {
			worker = &s.machines[i]
		}
	}
	if err := r.management.Client.Delete(ctx, worker); err != nil {
		return fmt.Errorf("delete machine %q: %w", worker.Name, err)
	}
	infra := s.infra[worker.Spec.InfrastructureRef.Name]
	if err := r.management.Client.Delete(ctx, &infra); err != nil {
		return fmt.Errorf("delete MaasMachine %s: %w", infra.Name, err)
	}
	r.Timeline.Sayf("deleted machine %s of the paused cluster", worker.Name)
	before := r.identities()
	if err := r.during(ctx, func(*state) error {
		if after := r.identities(); strings.Join(after, "\n") != strings.Join(before, "\n") {
			return fmt.Errorf("MAAS has changed under a paused cluster:\n  %s\nand before\n  %s", strings.Join(after, "\n  "), strings.Join(before, "\n  "))
		}
		return nil
	}); err != nil {
		return err
	}
	if err := r.patch(ctx, &clusterv1.Cluster{}, clusterName, `{"spec":{"paused":false}}`); err != nil {
		return err
	}
	err = r.await(ctx, "the deleted machine to go", func(ctx context.Context) error {
		s, err := r.look(ctx)
		if err != nil {
			return err
		}
		for _, m := range s.machines {
			if m.Name == worker.Name {
				return fmt.Errorf("machine %s is there", m.Name)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := r.awaitSettled(ctx, "the cluster to be whole again", 3, 2, 1); err != nil {
		return err
	}
	return r.checkBodies(6)
}

// during wants something to hold for a while.
func (r *Run) during(ctx context.Context, holds func(*state) error) error {
	until := r.Now().Add(still)
	broken := make(chan error, 1)
	err := r.await(ctx, "a while to pass", func(ctx context.Context) error {
		s, err := r.look(ctx)
		if err != nil {
			return err
		}
		if err := holds(s); err != nil {
			broken <- err
		} else if left := until.Sub(r.Now()); left > 0 {
			return fmt.Errorf("%s are left", left)
		}
		close(broken)
		return nil
	})
	if err != nil {
		return err
	}
	return <-broken
}

// checkReachable wants the cluster's API server to answer at the name that MAAS has in its DNS.
func (r *Run) checkReachable(ctx context.Context) error {
	c, err := r.workload(ctx)
	if err != nil {
		return err
	}
	var nodes corev1.NodeList
	if err := c.List(ctx, &nodes); err != nil {
		return fmt.Errorf("list the cluster's nodes: %w", err)
	}
	return nil
}
