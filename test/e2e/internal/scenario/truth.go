package scenario

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/services/maassim"
	"github.com/capmaas/capmaas/test/e2e/internal/region"
)

// checkNothingElse wants MAAS and LXD to hold the cluster's machines and no others, but for what lost hosts still have.
func (r *Run) checkNothingElse(s *state) error {
	ours := make(map[string]bool)
	for _, infra := range s.infra {
		ours[ptr.Deref(infra.Spec.SystemID, "")] = true
	}
	if others := region.Others(r.sim.Sim, r.expected(ours)); len(others) > 0 {
		return fmt.Errorf("not of the cluster: %s", strings.Join(others, "; "))
	}
	return nil
}

// goneFromMAAS wants nothing of the cluster left in MAAS, LXD and DNS.
func (r *Run) goneFromMAAS() error {
	left := region.Left(r.sim.Sim, r.expected(nil))
	for _, name := range r.fleet.On() {
		left = append(left, "switched on: "+name)
	}
	if len(left) > 0 {
		return fmt.Errorf("left: %s", strings.Join(left, "; "))
	}
	return nil
}

// expected says of which machines it is known why MAAS has them: those of these system ids, and those that lost hosts still have.
func (r *Run) expected(ours map[string]bool) func(maassim.Machine) bool {
	return func(m maassim.Machine) bool { return ours[m.SystemID] || slices.Contains(r.lost, m.Hostname) }
}

// checkPending wants as many deletions to be pending as there are VMs on lost hosts.
func (r *Run) checkPending(ctx context.Context) error {
	cluster := &infrav1.MaasCluster{}
	if err := r.management.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: clusterName}, cluster); err != nil {
		return fmt.Errorf("get the MaasCluster: %w", err)
	}
	if got := int(ptr.Deref(cluster.Status.PendingDeletions, 0)); got != len(r.lost) {
		return fmt.Errorf("%d deletions are pending, and lost hosts have the VMs %v", got, r.lost)
	}
	return nil
}
