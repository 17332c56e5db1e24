// Package fleet gives the machines of a simulated MAAS bodies: whatever MAAS deploys and has switched on runs in a sandbox, from
// the user data that MAAS received.
package fleet

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/capmaas/capmaas/services/maassim"
	"github.com/capmaas/capmaas/test/e2e/internal/sandbox"
	"github.com/capmaas/capmaas/test/e2e/internal/world"
)

// pace is how often the sandboxes are compared with what MAAS and LXD say.
const pace = 100 * time.Millisecond

// Config says what a fleet needs.
type Config struct {
	// Sim is the MAAS whose machines they are.
	Sim *maassim.Sim
	// Program is what runs in a sandbox.
	Program string
	// Images are the directories with the Kubernetes of an image, by the image's name as machines show it.
	Images map[string]Image
	// Programs are in every image.
	Programs []string
	// Dir is where the machines' logs go.
	Dir string
	// Sayf is told of every machine that is switched on or off.
	Sayf func(format string, args ...any)
}

// Image is what an image holds.
type Image struct{ Kubernetes, Version string }

// Fleet keeps the sandboxes.
type Fleet struct {
	Config

	mu     sync.Mutex
	bodies map[string]*body // by system id
	made   int
}

// body is a machine that is or was switched on.
type body struct {
	machine  maassim.Machine
	address  netip.Addr
	further  []netip.Addr // in other subnets
	userData string       // as MAAS received it
	fetched  bool
	box      *sandbox.Sandbox
	dead     bool // it ended by itself, or was killed; MAAS is not told
}

// New makes a fleet.
func New(config Config) *Fleet { return &Fleet{Config: config, bodies: make(map[string]*body)} }

// Run keeps the sandboxes in step with MAAS until the context ends, and ends them all then.
func (f *Fleet) Run(ctx context.Context) error {
	stop, err := f.serveMetadata(ctx)
	if err != nil {
		return err
	}
	defer stop()
	ticker := time.NewTicker(pace)
	defer ticker.Stop()
	defer f.end()
	for {
		f.compare()
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// compare switches on what should be on, and off what should not.
func (f *Fleet) compare() {
	f.mu.Lock()
	defer f.mu.Unlock()
	running := f.running()
	wanted := make(map[string]bool)
	for _, m := range f.Sim.Machines() {
		userData, ok := f.Sim.UserData(m.SystemID)
		if !ok || !slices.Contains([]string{"deploying", "deployed"}, m.Status) || !powered(m, running) {
			continue
		}
		b := f.bodies[m.SystemID]
		if b != nil && b.userData == userData {
			wanted[m.SystemID] = true
			b.watch(f)
			continue
		}
		if b != nil {
			f.switchOff(m.SystemID, b)
		}
		wanted[m.SystemID] = true
		f.switchOn(m, userData)
	}
	for systemID, b := range f.bodies {
		if !wanted[systemID] {
			f.switchOff(systemID, b)
		}
	}
}

// running are the VMs that run in LXD, by host and name.
func (f *Fleet) running() map[[2]string]bool {
	all := make(map[[2]string]bool)
	for _, i := range f.Sim.LXD() {
		all[[2]string{i.Host, i.Name}] = i.Running
	}
	return all
}

// powered asks LXD of a VM, and MAAS of a physical machine.
func powered(m maassim.Machine, running map[[2]string]bool) bool {
	if m.Host != "" {
		return running[[2]string{m.Host, m.Instance}]
	}
	return m.PowerState == "on"
}

func (f *Fleet) switchOn(m maassim.Machine, userData string) {
	b := &body{machine: m, userData: userData}
	f.bodies[m.SystemID] = b
	if err := f.boot(b); err != nil {
		f.Sayf("machine %s does not start: %v", m.Hostname, err)
		b.dead = true
		f.finish(b, maassim.Ending{Failed: true})
		return
	}
	f.Sayf("machine %s on: %s, %s, zone %s, host %s", m.Hostname, b.address, m.OS, m.Zone, orDash(m.Host))
}

func (f *Fleet) boot(b *body) error {
	image, ok := f.Images[b.machine.OS]
	if !ok {
		return fmt.Errorf("image %q holds no Kubernetes", b.machine.OS)
	}
	for _, text := range b.machine.IPs {
		switch address, err := netip.ParseAddr(text); {
		case err != nil:
			return fmt.Errorf("read its address: %w", err)
		case world.Subnet.Contains(address):
			b.address = address
		default:
			b.further = append(b.further, address)
		}
	}
	if !b.address.IsValid() {
		return fmt.Errorf("none of its addresses %v is on %s", b.machine.IPs, world.Subnet)
	}
	f.made++
	var err error
	b.box, err = sandbox.Start(f.Program, fmt.Sprintf("vm%d", f.made), sandbox.Machine{
		Hostname: b.machine.Hostname, Address: b.address, Further: b.further, Kubernetes: image.Kubernetes, Version: image.Version, Programs: f.Programs,
		Dir: filepath.Join(f.Dir, fmt.Sprintf("%s-%d", b.machine.Hostname, f.made)), Metadata: metadataURL,
	})
	return err
}

func (f *Fleet) switchOff(systemID string, b *body) {
	delete(f.bodies, systemID)
	if b.box != nil {
		b.box.Kill()
	}
	f.Sayf("machine %s off", b.machine.Hostname)
}

// watch notes that a machine has ended by itself.
func (b *body) watch(f *Fleet) {
	if b.dead {
		return
	}
	select {
	case <-b.box.Done():
		b.dead = true
		f.Sayf("machine %s has died", b.machine.Hostname)
		if !b.fetched {
			f.finish(b, maassim.Ending{Failed: true})
		}
	default:
	}
}

// finish ends a deployment that waits for its machine; where MAAS no longer waits there is nothing to end.
func (f *Fleet) finish(b *body, how maassim.Ending) {
	if err := f.Sim.Finish(b.machine.SystemID, how); err != nil {
		f.Sayf("machine %s: %v", b.machine.Hostname, err)
	}
}

// Kill lets the machine of this hostname die: its processes end, and neither LXD nor MAAS hears of it.
func (f *Fleet) Kill(hostname string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, b := range f.bodies {
		if b.machine.Hostname == hostname && b.box != nil {
			b.box.Kill()
			return nil
		}
	}
	return fmt.Errorf("no machine %s is on", hostname)
}

// KillHost lets every machine on a host die.
func (f *Fleet) KillHost(host string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, b := range f.bodies {
		if b.machine.Host == host && b.box != nil {
			b.box.Kill()
		}
	}
}

// Made is how often a machine was switched on.
func (f *Fleet) Made() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.made
}

// On are the hostnames of the machines that are switched on and alive.
func (f *Fleet) On() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []string
	for _, b := range f.bodies {
		if !b.dead {
			all = append(all, b.machine.Hostname)
		}
	}
	slices.Sort(all)
	return all
}

func (f *Fleet) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for systemID, b := range f.bodies {
		f.switchOff(systemID, b)
	}
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
