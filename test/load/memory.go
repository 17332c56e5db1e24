package load

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/capmaas/capmaas/services/maassim"
	"github.com/capmaas/capmaas/test/apiserver"
	"github.com/capmaas/capmaas/test/process"
)

// Memory is the most that the two programs had in use until all machines were being deployed, and a while longer.
type Memory struct {
	// Machines is how many there were.
	Machines int
	// Service and Manager are bytes.
	Service, Manager int64
}

// Both is the memory of service and manager together.
func (m Memory) Both() int64 { return m.Service + m.Manager }

// inFlight is for how long machines are left in flight before memory is read, by the clock: a few rounds of questions.
const inFlight = time.Minute

// MeasureMemory builds the programs, runs them with the flags that they are delivered with, and makes machines that are
// never done. Their time is the clock's; MAAS does at once what it can.
func MeasureMemory(ctx context.Context, o Options) (m Memory, err error) {
	m.Machines = o.Machines
	f, err := prepare(ctx, o, prompt(o.Machines))
	defer func() { err = errors.Join(err, f.Close()) }()
	if err != nil {
		return m, err
	}
	service, manager, err := f.startPrograms(ctx)
	if err != nil {
		return m, err
	}
	if err := f.holdDeployments(); err != nil {
		return m, err
	}
	if _, err := f.Create(ctx, o.Machines); err != nil {
		return m, err
	}
	if err := f.awaitDeploying(ctx, o.Machines); err != nil {
		return m, err
	}
	if err := f.Pass(ctx, inFlight); err != nil {
		return m, err
	}
	m.Service, err = service.Peak()
	if err != nil {
		return m, err
	}
	m.Manager, err = manager.Peak()
	return m, err
}

// prompt is the MAAS of a fleet without the time that things take.
func prompt(machineCount int) maassim.Config {
	config := World(machineCount, 1)
	config.Cost, config.Workers, config.Durations = nil, 0, maassim.Durations{}
	return config
}

// startPrograms builds and starts service and manager as processes.
func (f *Fleet) startPrograms(ctx context.Context) (service, manager *process.Process, err error) {
	root, err := apiserver.Root()
	if err != nil {
		return nil, nil, fmt.Errorf("find the programs: %w", err)
	}
	build := exec.CommandContext(ctx, "go", "build", "-o", f.dir, "./services/lxdprovisioner/cmd/lxdprovisioner", "./controllers/cmd/manager")
	build.Dir, build.Stderr = root, os.Stderr
	if err := build.Run(); err != nil {
		return nil, nil, fmt.Errorf("build the programs: %w", err)
	}
	kubeconfig := filepath.Join(f.dir, "kubeconfig")
	if err := os.WriteFile(kubeconfig, f.options.Kubeconfig, 0o600); err != nil {
		return nil, nil, fmt.Errorf("write the kubeconfig: %w", err)
	}
	address, err := process.FreeAddress(ctx)
	if err != nil {
		return nil, nil, err
	}
	service, err = process.Start(process.Spec{
		Name: "the service", Binary: filepath.Join(f.dir, "lxdprovisioner"), Log: filepath.Join(f.dir, "lxdprovisioner.log"),
		Env:  []string{"MAAS_ENDPOINT=" + f.maas.URL + "/MAAS", "MAAS_API_KEY=" + f.sim.APIKey()},
		Args: []string{"--listen=" + address, "--metrics-addr=127.0.0.1:0", "--drain-timeout=5s", "--insecure"},
	})
	if err != nil {
		return nil, nil, err
	}
	f.parts = append(f.parts, service)
	manager, err = process.Start(process.Spec{
		Name: "the manager", Binary: filepath.Join(f.dir, "manager"), Log: filepath.Join(f.dir, "manager.log"),
		Args: []string{
			"--kubeconfig=" + kubeconfig, "--namespace=" + f.namespace,
			"--provisioner-address=" + address, "--provisioner-insecure", "--metrics-bind-addr=0", "--health-addr=0", "--webhook-port=0",
		},
	})
	if err != nil {
		return nil, nil, err
	}
	f.parts = append(f.parts, manager)
	return service, manager, nil
}
