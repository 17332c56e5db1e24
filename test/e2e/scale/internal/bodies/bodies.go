// Package bodies gives every machine that a simulated MAAS has deployed and switched on a body: a member of a cluster in memory.
package bodies

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/capmaas/capmaas/services/maassim"
	"github.com/capmaas/capmaas/test/e2e/internal/world"
	"github.com/capmaas/capmaas/test/e2e/scale/internal/workload"
)

const (
	// pace is how often the bodies are compared with what MAAS says.
	pace = 100 * time.Millisecond
	// kubeadmTakes is how long a machine is busy between its user data and its Node: what a real one took on an idle computer.
	kubeadmTakes = 10 * time.Second
	// again is the pause between two tries to join a cluster.
	again = time.Second
)

// MAAS is what is asked of it.
type MAAS interface {
	// Machines are all machines.
	Machines() []maassim.Machine
	// UserData are a machine's, as MAAS received them.
	UserData(systemID string) (string, bool)
	// Deployed is told of each machine that has become so.
	Deployed(systemID string)
}

// Config says what bodies need.
type Config struct {
	MAAS MAAS
	// Host is where they live.
	Host *workload.Host
	// Versions are those of Kubernetes, by the image's name as machines show it.
	Versions map[string]string
	// Sayf is told what goes wrong.
	Sayf func(format string, args ...any)
}

// Bodies keeps them.
type Bodies struct {
	Config

	mu  sync.Mutex
	all map[string]*body // by system id
}

// body is a machine that is switched on.
type body struct {
	machine workload.Machine
	cancel  context.CancelFunc
	ended   chan struct{}
}

// New makes a world without bodies.
func New(config Config) *Bodies { return &Bodies{Config: config, all: make(map[string]*body)} }

// Run keeps the bodies in step with MAAS until the context ends, and ends them then.
func (b *Bodies) Run(ctx context.Context) {
	ticker := time.NewTicker(pace)
	defer ticker.Stop()
	defer b.end(ctx)
	for {
		b.compare(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// On is how many there are.
func (b *Bodies) On() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.all)
}

// compare switches on what should be on, and off what should not.
func (b *Bodies) compare(ctx context.Context) {
	b.mu.Lock()
	defer b.mu.Unlock()
	wanted := make(map[string]bool)
	for _, m := range b.MAAS.Machines() {
		if m.VMHost || m.Status != "deployed" || m.PowerState != "on" {
			continue
		}
		userData, ok := b.MAAS.UserData(m.SystemID)
		if !ok {
			continue
		}
		wanted[m.SystemID] = true
		old := b.all[m.SystemID]
		if old != nil && old.machine.UserData == userData {
			continue
		}
		if old != nil {
			b.switchOff(ctx, m.SystemID)
		}
		b.MAAS.Deployed(m.SystemID)
		b.switchOn(ctx, m, userData)
	}
	for systemID := range b.all {
		if !wanted[systemID] {
			b.switchOff(ctx, systemID)
		}
	}
}

func (b *Bodies) end(ctx context.Context) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for systemID := range b.all {
		b.switchOff(ctx, systemID)
	}
}

func (b *Bodies) switchOn(ctx context.Context, m maassim.Machine, userData string) {
	machine := workload.Machine{Hostname: m.Hostname, Version: b.Versions[m.OS], UserData: userData}
	for _, text := range m.IPs {
		if address, err := netip.ParseAddr(text); err == nil && world.Subnet.Contains(address) {
			machine.Address = address
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	one := &body{machine: machine, cancel: cancel, ended: make(chan struct{})}
	b.all[m.SystemID] = one
	go func() {
		defer close(one.ended)
		if machine.Version == "" || !machine.Address.IsValid() {
			b.Sayf("machine %s can't start: image %q, addresses %v", m.Hostname, m.OS, m.IPs)
			return
		}
		b.live(ctx, machine)
	}()
}

// live takes a machine into its cluster, however many tries it takes, until it is switched off.
func (b *Bodies) live(ctx context.Context, m workload.Machine) {
	timer := time.NewTimer(kubeadmTakes)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		err := b.Host.Boot(ctx, m)
		if err == nil || ctx.Err() != nil {
			return
		}
		b.Sayf("machine %s tries again: %v", m.Hostname, err)
		timer.Reset(again)
	}
}

func (b *Bodies) switchOff(ctx context.Context, systemID string) {
	one := b.all[systemID]
	delete(b.all, systemID)
	one.cancel()
	<-one.ended
	if err := b.Host.Halt(context.WithoutCancel(ctx), one.machine); err != nil {
		b.Sayf("machine %s: %v", one.machine.Hostname, err)
	}
}
