package provision_test

import (
	"context"
	"flag"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/figures"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/placement"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/provision"
)

// shelfFleet is n hosts in six zones, all unlike each other, of which most fit.
func shelfFleet(n int) []inventory.Host {
	hosts := make([]inventory.Host, n)
	for i := range hosts {
		h := shelfHost(i)
		h.Zone.Name = fmt.Sprintf("zone-%d", i%6)
		h.Total = inventory.Resources{Cores: 64, MemoryMiB: 256 * 1024, DiskBytes: 500 * inventory.BytesPerGB}
		h.Used = inventory.Resources{Cores: int64(i % 61), MemoryMiB: int64(i%229) * 1024}
		h.CPURatio = 1.5
		hosts[i] = h
	}
	return hosts
}

// fleetSizes are the numbers of hosts that are measured.
var fleetSizes = []int{100, 1000, 10000}

// patient is the stopwatch of what is published.
var patient = figures.Patient(time.Now)

// BenchmarkSelectHost lets callers ask the service, each for its own VMs in turns, with 256 entries in the
// ledger. x/1-caller is the time for a choice compared with that of one caller.
func BenchmarkSelectHost(b *testing.B) {
	for _, hosts := range fleetSizes {
		for _, n := range []int{1, callers} {
			b.Run(fmt.Sprintf("callers=%d/hosts=%d", n, hosts), func(b *testing.B) {
				d := newDesk(hosts)
				b.ReportAllocs()
				b.ResetTimer()
				d.serve(n, b.N)
				b.StopTimer()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "choices/s")
				b.ReportMetric(float64(d.perChoice(patient, n))/float64(d.perChoice(patient, 1)), "x/1-caller")
			})
		}
	}
}

// entries is how many choices the ledger holds while callers ask.
const entries = 256

// desk is a service whose ledger is full of choices, and callers that ask it.
type desk struct {
	lxd  *provision.LXD
	next atomic.Int64
}

func newDesk(hosts int) *desk {
	frozen := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	d := &desk{}
	d.lxd, _ = onShelf(shelfFleet(hosts), func() time.Time { return frozen })
	d.serve(1, entries)
	return d
}

func (d *desk) ask() {
	i := int(d.next.Add(1)) % entries
	_, err := d.lxd.SelectHost(context.Background(), provision.SelectRequest{Request: placement.Request{
		VM: fmt.Sprintf("c%d-cp-%d", i/3, i%3), Size: inventory.VMSize{Cores: 1, MemoryMiB: 1024, Disks: []inventory.Disk{{SizeGB: 1}}}, Group: placement.Group{Key: fmt.Sprintf("c%d", i/3)},
	}})
	if err != nil {
		panic(err)
	}
}

// serve lets callers make choices in all.
func (d *desk) serve(asking, choices int) {
	var left atomic.Int64
	left.Store(int64(choices))
	var wg sync.WaitGroup
	for range asking {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				d.ask()
			}
		})
	}
	wg.Wait()
}

// perChoice times a choice while so many ask.
func (d *desk) perChoice(w figures.Stopwatch, asking int) time.Duration {
	return w.PerCall(func() { d.serve(asking, callers) }) / callers
}

// section is where the figures are published.
var section = figures.Section{Document: "../../../../docs/performance.md", Name: "choices"}

var performance = flag.Bool("performance", false, "write the figures of docs/performance.md")

// TestPerformance_the_document_is_what_its_command_writes compares everything but the figures; with
// -performance it writes the document. It is not parallel: it takes times.
func TestPerformance_the_document_is_what_its_command_writes(t *testing.T) {
	if *performance {
		require.NoError(t, section.Write(report(patient, fleetSizes)))
		return
	}
	written, err := section.Text()
	require.NoError(t, err)
	assert.Equal(t, figures.Shape(report(figures.Hasty(time.Now), []int{10, 10, 10})), figures.Shape(written), "make performance writes it anew")
}

// report gives the text of the figures.
func report(w figures.Stopwatch, sizes []int) string {
	var out strings.Builder
	fmt.Fprintf(&out, "\n### Choices a second\n\n`SelectHost` with %d entries in the ledger, each caller asking for its own VMs in turns.\n\n", entries)
	fmt.Fprintf(&out, "| hosts | choices a second, %d callers | – compared with one caller |\n|---|---|---|\n", callers)
	for _, hosts := range sizes {
		d := newDesk(hosts)
		many, one := d.perChoice(w, callers), d.perChoice(w, 1)
		fmt.Fprintf(&out, "| %s | %s | %.2f |\n", figures.Grouped(hosts), figures.Grouped(int(time.Second/many)), float64(one)/float64(many))
	}
	fmt.Fprintln(&out)
	return out.String()
}
