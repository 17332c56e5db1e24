package metrics

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/provision"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/replicas"
)

// Placed counts one selection of a host.
func (m *Metrics) Placed(p provision.Placement) {
	m.placements.WithLabelValues(p.Outcome).Inc()
	for _, r := range p.Rejections {
		m.rejections.WithLabelValues(string(r.Reason)).Inc()
	}
}

// WatchLedger adds the metrics of what was given out and MAAS does not show yet.
func (m *Metrics) WatchLedger(read func() provision.LedgerCounts) {
	m.registry.MustRegister(&counts{
		desc: prometheus.NewDesc("lxdprovisioner_ledger_entries",
			"VMs that take room on a host which MAAS does not show yet, by state: chosen (a host was selected), composing, or unseen (composed, and the host was not read since).",
			[]string{"state"}, nil),
		read: func() map[string]int {
			n := read()
			return map[string]int{"chosen": n.Chosen, "composing": n.Composing, "unseen": n.Unseen}
		},
	})
}

// WatchStreams adds the metrics of who is told of changes.
func (m *Metrics) WatchStreams(vms, metal func() provision.WatchCounts) {
	m.registry.MustRegister(
		&counts{
			desc: prometheus.NewDesc("lxdprovisioner_watch_streams", "Open streams of changes, by kind: vm or bare-metal.", []string{"kind"}, nil),
			read: func() map[string]int { return map[string]int{"vm": vms().Streams, "bare-metal": metal().Streams} },
		},
		&counts{
			desc: prometheus.NewDesc("lxdprovisioner_watched_machines",
				"Machines whose changes MAAS is asked for on behalf of streams, by kind: vm or bare-metal.", []string{"kind"}, nil),
			read: func() map[string]int { return map[string]int{"vm": vms().Machines, "bare-metal": metal().Machines} },
		},
	)
}

// counts is a gauge with one label, which is asked for when it is scraped.
type counts struct {
	desc *prometheus.Desc
	read func() map[string]int
}

// Describe tells the registry what there is.
func (c *counts) Describe(out chan<- *prometheus.Desc) { describe(out, c.desc) }

// Collect reads the counts.
func (c *counts) Collect(out chan<- prometheus.Metric) {
	for label, n := range c.read() {
		out <- prometheus.MustNewConstMetric(c.desc, prometheus.GaugeValue, float64(n), label)
	}
}

// scrapePatience is how long a scrape waits for MAAS to be read; scrapes are given up after 10 s.
const scrapePatience = 2 * time.Second

// bytesPerMiB is how metrics, whose unit is the byte, count memory.
const bytesPerMiB = 1 << 20

// capacity are the metrics of the zones.
type capacity struct {
	read                                                 func(context.Context) ([]provision.ZoneCapacity, time.Time)
	hosts, readAt                                        *prometheus.Desc
	cores, coresFree, memory, memoryFree, disk, diskFree *prometheus.Desc
}

// WatchCapacity adds the metrics of what the hosts of each zone have. It is read from MAAS only when it is scraped, and then
// only where the last reading is minutes old.
func (m *Metrics) WatchCapacity(read func(context.Context) ([]provision.ZoneCapacity, time.Time)) {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("lxdprovisioner_"+name, help, labels, nil)
	}
	m.registry.MustRegister(&capacity{
		read:       read,
		hosts:      desc("zone_hosts", "LXD hosts of the zone, by state: usable, or unusable whatever VM is asked for.", "zone", "state"),
		cores:      desc("zone_cores", "Cores that MAAS lets be used of the zone's usable LXD hosts, over-commit counted in.", "zone"),
		coresFree:  desc("zone_cores_free", "Cores of lxdprovisioner_zone_cores that are left, the ledger taken off.", "zone"),
		memory:     desc("zone_memory_bytes", "Memory that MAAS lets be used of the zone's usable LXD hosts, over-commit counted in.", "zone"),
		memoryFree: desc("zone_memory_free_bytes", "Memory of lxdprovisioner_zone_memory_bytes that is left, the ledger taken off.", "zone"),
		disk:       desc("zone_storage_bytes", "Disk space of the zone's usable LXD hosts, all storage pools together.", "zone"),
		diskFree:   desc("zone_storage_free_bytes", "Disk space of lxdprovisioner_zone_storage_bytes that is left, the ledger taken off.", "zone"),
		readAt:     desc("inventory_read_timestamp_seconds", "When the hosts were read from MAAS, as Unix time; absent before the first reading."),
	})
}

// Describe tells the registry what there is.
func (c *capacity) Describe(out chan<- *prometheus.Desc) {
	describe(out, c.hosts, c.cores, c.coresFree, c.memory, c.memoryFree, c.disk, c.diskFree, c.readAt)
}

// Collect reads the inventory.
func (c *capacity) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapePatience)
	defer cancel()
	zones, readAt := c.read(ctx)
	if readAt.IsZero() {
		return
	}
	tell := func(desc *prometheus.Desc, value int64, labels ...string) {
		out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(value), labels...)
	}
	tell(c.readAt, readAt.Unix())
	for _, z := range zones {
		tell(c.hosts, int64(z.Usable), z.Zone, "usable")
		tell(c.hosts, int64(z.Unusable), z.Zone, "unusable")
		tell(c.cores, z.Total.Cores, z.Zone)
		tell(c.coresFree, z.Free.Cores, z.Zone)
		tell(c.memory, z.Total.MemoryMiB*bytesPerMiB, z.Zone)
		tell(c.memoryFree, z.Free.MemoryMiB*bytesPerMiB, z.Zone)
		tell(c.disk, z.Total.DiskBytes, z.Zone)
		tell(c.diskFree, z.Free.DiskBytes, z.Zone)
	}
}

// WatchPeers adds the metrics of the replicas.
func (m *Metrics) WatchPeers(peers *replicas.Group) {
	m.registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "lxdprovisioner_replicas", Help: "Replicas that share the hosts; 0 where that is not known, and every host is this replica's own.",
		}, func() float64 { return float64(peers.Members()) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "lxdprovisioner_replicas_changes_total", Help: "How often the replicas that share the hosts have become others, or unknown.",
		}, func() float64 { return float64(peers.Changes()) }),
	)
}
