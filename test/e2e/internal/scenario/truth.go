package scenario

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
)

// checkNothingElse wants MAAS and LXD to hold the cluster's machines and no others, but for what lost hosts still have.
func (r *Run) checkNothingElse(s *state) error {
	ours := make(map[string]bool)
	for _, infra := range s.infra {
		ours[ptr.Deref(infra.Spec.SystemID, "")] = true
	}
	if others := r.others(ours); len(others) > 0 {
		return fmt.Errorf("not of the cluster: %s", strings.Join(others, "; "))
	}
	return nil
}

// goneFromMAAS wants nothing of the cluster left in MAAS, LXD and DNS.
func (r *Run) goneFromMAAS() error {
	left := r.others(nil)
	for _, record := range r.sim.DNSRecords() {
		left = append(left, "DNS record "+record.FQDN)
	}
	for _, name := range r.fleet.On() {
		left = append(left, "switched on: "+name)
	}
	if len(left) > 0 {
		return fmt.Errorf("left: %s", strings.Join(left, "; "))
	}
	return nil
}

// others are the VMs, the machines in use and the reserved addresses that do not belong to the machines of these system ids.
func (r *Run) others(ours map[string]bool) []string {
	var all []string
	known := make(map[[2]string]bool)
	for _, m := range r.sim.Machines() {
		expected := ours[m.SystemID] || slices.Contains(r.lost, m.Hostname)
		known[[2]string{m.Host, m.Instance}] = expected
		if !expected && !m.VMHost && (m.Status != "ready" || m.Owner != "" || m.Host != "") {
			all = append(all, fmt.Sprintf("machine %s, %s, of %q", m.Hostname, m.Status, m.Owner))
		}
	}
	for _, i := range r.sim.LXD() {
		if !known[[2]string{i.Host, i.Name}] {
			all = append(all, "VM "+i.Name+" on "+i.Host)
		}
	}
	for _, address := range r.sim.Reservations() {
		all = append(all, "reserved address "+address)
	}
	return all
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
