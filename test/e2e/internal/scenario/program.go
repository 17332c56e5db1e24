package scenario

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/capmaas/capmaas/test/e2e/internal/region"
	"github.com/capmaas/capmaas/test/e2e/internal/world"
	"github.com/capmaas/capmaas/test/process"
)

// programPatience bounds how long a program may run; it bounds its own waits itself.
const programPatience = 12 * time.Hour

// parting is how long a program may take to end once it is asked to.
const parting = time.Minute

// Program runs a program, whose output is that of the run, against everything that has been started, and wants nothing of what it
// made left in MAAS. Beside the environment it gets:
//   - KUBECONFIG, an administrator's of the management cluster;
//   - KUBERNETES_VERSION, KUBERNETES_VERSION_UPGRADE_FROM and KUBERNETES_VERSION_UPGRADE_TO, what the images hold;
//   - MACHINE_IMAGE and MACHINE_IMAGE_UPGRADE_FROM, their names in MAAS;
//   - MANAGEMENT_SERVER, the URL at which machines reach the management cluster;
//   - ARTIFACTS, a directory that is kept, KUBECTL, and CLUSTER_API_MANIFESTS, the directory of what Cluster API's managers install.
func (r *Run) Program(ctx context.Context, argv []string) error {
	if r.before == "" {
		return errors.New("there is no version to upgrade from")
	}
	artifacts := filepath.Join(r.Work, "artifacts")
	if err := os.Mkdir(artifacts, 0o700); err != nil {
		return err
	}
	running, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	cmd := exec.CommandContext(running, argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), "KUBECONFIG="+r.management.Kubeconfig,
		"KUBERNETES_VERSION="+r.version, "KUBERNETES_VERSION_UPGRADE_FROM="+r.before, "KUBERNETES_VERSION_UPGRADE_TO="+r.version,
		"MACHINE_IMAGE="+region.Image, "MACHINE_IMAGE_UPGRADE_FROM="+region.ImageBefore, "MANAGEMENT_SERVER="+r.management.ServerFor(world.Rack),
		"ARTIFACTS="+artifacts, "KUBECTL="+filepath.Join(r.Assets, "kubectl"), "CLUSTER_API_MANIFESTS="+r.ClusterAPI)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = parting
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", argv[0], err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	var result error
	err := process.Await(ctx, argv[0]+" to end", programPatience, r.alive, func(context.Context) error {
		select {
		case result = <-ended:
			return nil
		default:
			return errors.New("it runs")
		}
	})
	if err != nil {
		end()
		return errors.Join(err, <-ended) // it may write down what it has seen
	}
	if result != nil {
		return fmt.Errorf("run %s: %w", argv[0], result)
	}
	return r.await(ctx, "MAAS to be as before", func(context.Context) error { return r.goneFromMAAS() })
}
