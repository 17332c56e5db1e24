package scenario

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/capmaas/capmaas/test/e2e/internal/management"
)

// otherBase is the first port of the second management cluster.
const otherBase = base + 100

// Move moves the cluster to a second management cluster with clusterctl, lets it grow and shrink there, and moves it back. No machine
// is made anew by a move.
func (r *Run) Move(ctx context.Context) error {
	home := r.management
	other, err := r.startManagement(ctx, "management-2", otherBase)
	r.besides = append(r.besides, other)
	if err != nil {
		return err
	}
	if err := r.moveTo(ctx, other, "to the second management cluster"); err != nil {
		return err
	}
	r.Timeline.Sayf("scaling at the second management cluster")
	if err := r.scaleTo(ctx, 3, 2, 2); err != nil {
		return err
	}
	if err := r.awaitSettled(ctx, "the moved cluster to grow", 3, 2, 2); err != nil {
		return err
	}
	if err := r.scaleTo(ctx, 3, 2, 1); err != nil {
		return err
	}
	if err := r.awaitSettled(ctx, "the moved cluster to shrink", 3, 2, 1); err != nil {
		return err
	}
	return r.moveTo(ctx, home, "back")
}

func (r *Run) moveTo(ctx context.Context, target *management.Cluster, what string) error {
	before := r.identities()
	if err := r.clusterctl(ctx, "move", "--namespace", namespace, "--kubeconfig", r.management.Kubeconfig, "--to-kubeconfig", target.Kubeconfig); err != nil {
		return err
	}
	source := r.management
	r.management = target
	r.Timeline.Sayf("moved %s", what)
	if err := r.awaitSettled(ctx, "the cluster to be well after it was moved "+what, 3, 2, 1); err != nil {
		return err
	}
	if after := r.identities(); !slices.Equal(before, after) {
		return fmt.Errorf("moved %s the machines are\n  %s\nand were\n  %s", what, strings.Join(after, "\n  "), strings.Join(before, "\n  "))
	}
	return r.emptied(ctx, source)
}

// identities are MAAS's machines with their owner's marks, LXD's VMs, and how often one was switched on.
func (r *Run) identities() []string {
	all := []string{fmt.Sprintf("%d machines were ever switched on", r.fleet.Made())}
	for _, m := range r.sim.Machines() {
		all = append(all, strings.Join([]string{m.SystemID, m.Hostname, m.Status, m.AgentName, m.Host}, " "))
	}
	for _, i := range r.sim.LXD() {
		all = append(all, i.Host+" "+i.Name)
	}
	slices.Sort(all)
	return all
}

// emptied wants nothing of the cluster left where it was moved away from.
func (r *Run) emptied(ctx context.Context, source *management.Cluster) error {
	return r.await(ctx, "the source to be empty", func(ctx context.Context) error {
		s, err := read(ctx, source.Client)
		if err != nil {
			return err
		}
		return s.gone(ctx, source.Client)
	})
}

// clusterctl runs Cluster API's command line, which must not look for newer releases of itself.
func (r *Run) clusterctl(ctx context.Context, args ...string) error {
	log, err := os.OpenFile(filepath.Join(r.Work, "clusterctl.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(r.ClusterAPI, "clusterctl"), append(args, "-v", "5")...)
	cmd.Env = append(os.Environ(), "CLUSTERCTL_DISABLE_VERSIONCHECK=true", "XDG_CONFIG_HOME="+filepath.Join(r.Work, "clusterctl"))
	cmd.Stdout, cmd.Stderr = log, log
	err = errors.Join(cmd.Run(), log.Close())
	if err != nil {
		return fmt.Errorf("run clusterctl %s, see clusterctl.log: %w", args[0], err)
	}
	return nil
}
