package maasmachine

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// tenant is an attempt of a machine on a host.
type tenant struct {
	machine types.UID
	attempt attempt
	// deployed says that its VM is deployed and nobody wants it gone.
	deployed bool
}

// expectations is what is known of the hosts of attempts: which VMs of other machines than this are deployed there, and which attempts are
// unsettled. The service holds a refresh back by it, because a refresh deletes what a host doesn't report.
func (r *Reconciler) expectations(ctx context.Context, machine types.UID, attempts []*lxdprovisionerv1.Attempt) ([]*lxdprovisionerv1.HostExpectation, error) {
	tenants, err := r.tenants.get(ctx)
	if err != nil {
		return nil, err
	}
	ids := hostsOf(attempts)
	all := make([]*lxdprovisionerv1.HostExpectation, 0, len(ids))
	for _, id := range ids {
		host := &lxdprovisionerv1.HostExpectation{HostId: id}
		for _, t := range tenants[id] {
			switch {
			case t.machine == machine:
			case !t.attempt.Settled:
				host.Unsettled = append(host.Unsettled, t.attempt.proto())
			case t.deployed:
				host.Deployed = append(host.Deployed, t.attempt.Name)
			}
		}
		all = append(all, host)
	}
	return all, nil
}

// hostsOf are the ids of the attempts' hosts, each once and in order.
func hostsOf(attempts []*lxdprovisionerv1.Attempt) []string {
	ids := make([]string, 0, len(attempts))
	for _, a := range attempts {
		ids = append(ids, a.GetHostId())
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// readTenants reads uncached which attempts there are on each host, of all namespaces that this manager sees: clusters share
// hosts.
func (r *Reconciler) readTenants(ctx context.Context) (map[string][]tenant, error) {
	machines := &infrav1.MaasMachineList{}
	if err := r.APIReader.List(ctx, machines, client.InNamespace(r.Namespace)); err != nil {
		return nil, fmt.Errorf("list MaasMachines uncached: %w", err)
	}
	byHost := map[string][]tenant{}
	for i := range machines.Items {
		m := &machines.Items[i]
		all, err := attemptsOf(m)
		if err != nil {
			return nil, err
		}
		wanted := wasDeployed(m) && m.DeletionTimestamp.IsZero()
		for j := range all {
			id := all[j].HostID
			byHost[id] = append(byHost[id], tenant{machine: m.UID, attempt: all[j], deployed: wanted && !all[j].GivenUp})
		}
	}
	return byHost, nil
}
