package faults

import (
	"context"
	"fmt"
	"net/http"
	"slices"
)

// renewCluster deletes one cluster with its machines, and makes another. It gives the machines that are left, and says
// whether all is well.
func (w *world) renewCluster(ctx context.Context, round int, there []*life) (left []*life, ok bool, err error) {
	n := round / renewEvery % len(w.clusters)
	old := w.clusters[n]
	var going []*life
	for _, l := range there {
		if l.cluster == old {
			going = append(going, l)
		} else {
			left = append(left, l)
		}
	}
	for _, l := range going {
		l.ending, l.deleted, l.edited, l.paused = inBetween, 0, false, false
	}
	if err := w.disturbed(ctx, going); err != nil {
		return nil, false, err
	}
	still, ok, err := w.settle(ctx, append(slices.Clone(going), left...))
	if err != nil || !ok {
		return nil, false, err
	}
	if len(still) > len(left) {
		return nil, false, fmt.Errorf("delete the machines of %s: %d are left", old.name, len(still)-len(left))
	}
	if err := w.whileDisturbed(ctx, old.delete); err != nil {
		return nil, false, err
	}
	w.clusters[n], err = w.makeCluster(ctx, fmt.Sprintf("%s-c%d-r%d", w.name, n, round))
	return still, true, err
}

// leaveNothing deletes the clusters and compares what is left with nothing.
func (w *world) leaveNothing(ctx context.Context) error {
	for _, c := range w.clusters {
		if err := w.whileDisturbed(ctx, c.delete); err != nil {
			return err
		}
	}
	w.clusters = nil
	_, _, err := w.settle(ctx, nil)
	return err
}

// clean removes the VMs that alice took and gave back: they are nobody's, and would fill the hosts.
func (a *alice) clean() error {
	for _, row := range a.world.sim.Machines() {
		if row.Instance == "" || row.Owner != "" || !a.tookVM(row.Instance) {
			continue
		}
		status, body := a.askAs(a.world.sim.APIKey(), http.MethodDelete, "machines/"+row.SystemID+"/", nil)
		if !slices.Contains([]int{http.StatusNoContent, http.StatusNotFound}, status) {
			return fmt.Errorf("clean up after alice: %d %s", status, body)
		}
	}
	return nil
}
