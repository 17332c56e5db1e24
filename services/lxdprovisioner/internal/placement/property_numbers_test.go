package placement_test

import (
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory/inventorytest"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/placement"
)

// TestProperty_R4_3 holds every rejection against an account of its own: what it says that the host has, and
// that more is needed.
func TestProperty_R4_3_every_rejected_host_has_a_reason_and_numbers_that_add_up(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		hosts := drawHosts(t)
		req := drawRequest(t, hosts)
		b := open(hosts, req)
		d, err := placement.Place(req, inventory.Snapshot{Hosts: hosts})
		rejected := map[inventory.HostID]bool{}
		for _, r := range rejectionsOf(d, err) {
			h := b.host(r.HostID)
			require.False(t, rejected[r.HostID], "%s is rejected twice", r.HostName)
			rejected[r.HostID] = true
			require.Equal(t, h.Name, r.HostName)
			require.Equal(t, h.Zone.Name, r.Zone)
			require.Contains(t, placement.Reasons(), r.Reason)
			require.NotEmpty(t, r.Message)
			require.NotContains(t, r.Message, "%!")
			requireNumbers(t, b, req, r)
		}
		for _, c := range d.Candidates() {
			require.False(t, rejected[c.HostID], "%s fits and is rejected", c.HostName)
			rejected[c.HostID] = true
		}
		require.Len(t, rejected, len(hosts), "every host fits or is rejected")
	})
}

var (
	needsCores  = regexp.MustCompile(`^needs (\d+) cores?, (?:one VM can have at most the host's (\d+)|has (\d+)|has none: the host is (\d+) over its limit)(?: \((\d+) promised to other VMs\))?$`)
	needsMemory = regexp.MustCompile(`^needs (\S+ [GM]iB), (?:one VM can have at most the host's (\S+ [GM]iB)|has (\S+ [GM]iB)|has none: the host is (\S+ [GM]iB) over its limit)(?: \((\S+ [GM]iB) promised to other VMs\))?$`)
	needsDisk   = regexp.MustCompile(`^needs (\d+) GB in storage pool "(\w+)", (?:which has (\d+) GB in all|has (\d+) GB)(?: \((\d+) GB promised to other VMs\))?$`)
)

// requireNumbers holds the numbers of a rejection for lack of room against the books.
func requireNumbers(t *rapid.T, b *books, req placement.Request, r placement.Rejection) {
	h, promised := b.host(r.HostID), b.promised(r.HostID)
	switch r.Reason {
	case placement.InsufficientCores:
		requireShortage(t, needsCores, r.Message, shortage{
			needs: int64(req.Size.Cores), total: h.Total.Cores, promised: promised.Cores,
			left: int64(float64(h.Total.Cores)*h.CPURatio) - h.Used.Cores,
		})
	case placement.InsufficientMemory:
		requireShortage(t, needsMemory, r.Message, shortage{
			needs: req.Size.MemoryMiB, total: h.Total.MemoryMiB, promised: promised.MemoryMiB,
			left: int64(float64(h.Total.MemoryMiB)*h.MemoryRatio) - h.Used.MemoryMiB,
		})
	case placement.InsufficientStorage:
		requireDisk(t, b, r)
	default:
	}
}

// shortage is what a rejection for lack of cores or MiB has to tell.
type shortage struct{ needs, total, left, promised int64 }

func requireShortage(t *rapid.T, pattern *regexp.Regexp, message string, s shortage) {
	m := pattern.FindStringSubmatch(message)
	require.NotNil(t, m, "%s", message)
	requireAmount(t, s.needs, m[1])
	switch {
	case m[2] != "":
		require.Greater(t, s.needs, s.total, "%s", message)
		requireAmount(t, s.total, m[2])
		return
	case m[3] != "":
		requireAmount(t, s.left, m[3])
	default:
		requireAmount(t, -s.left, m[4])
	}
	require.LessOrEqual(t, s.needs, s.total, "%s", message)
	require.Greater(t, s.needs, s.left, "%s", message)
	require.NotEqual(t, m[1], m[3], "%s", message)
	requireAmount(t, s.promised, m[5])
}

// requireAmount holds a number of cores, MiB, or GiB with one decimal against the amount; no text is none.
func requireAmount(t *rapid.T, amount int64, text string) {
	figure, inGiB := strings.CutSuffix(text, " GiB")
	if !inGiB {
		require.Equal(t, amount, number(strings.TrimSuffix(text, " MiB")))
		return
	}
	gib, err := strconv.ParseFloat(figure, 64)
	require.NoError(t, err)
	require.InDelta(t, float64(amount)/1024-0.05, gib, 0.0501, "%s is rounded down", text)
}

func requireDisk(t *rapid.T, b *books, r placement.Rejection) {
	m := needsDisk.FindStringSubmatch(r.Message)
	require.NotNil(t, m, "%s", r.Message)
	shown, _ := inventory.Snapshot{Hosts: b.shown}.Host(r.HostID)
	before, ok := shown.StoragePool(m[2])
	require.True(t, ok)
	left, _ := b.host(r.HostID).StoragePool(m[2])
	if m[3] != "" {
		require.Equal(t, left.TotalBytes/inventorytest.GB, number(m[3]))
		require.Greater(t, number(m[1]), number(m[3]))
		return
	}
	require.Equal(t, max(left.AvailableBytes, 0)/inventorytest.GB, number(m[4]))
	require.Greater(t, number(m[1]), number(m[4]))
	require.Equal(t, (before.AvailableBytes-left.AvailableBytes)/inventorytest.GB, number(m[5]), "%s", r.Message)
}

func number(text string) int64 {
	n, _ := strconv.ParseInt(text, 10, 64)
	return n
}
