package provision_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory/inventorytest"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/placement"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/provision"
)

// drawShelf gives 1 to 8 hosts, some full, some with two storage pools, and one with room.
func drawShelf(t *rapid.T) []inventory.Host {
	n := rapid.IntRange(1, 8).Draw(t, "hosts")
	hosts := make([]inventory.Host, n)
	for i := range hosts {
		h := shelfHost(i)
		inventorytest.Draw(t, &h)
		hosts[i] = h
	}
	roomy := shelfHost(n)
	roomy.StoragePools = []inventory.StoragePool{inventorytest.Pool("ssd", 900, 900, true), inventorytest.Pool("hdd", 900, 900, false)}
	return append(hosts, roomy)
}

// ledgerEntry is an entry of the ledger in the model: a VM counts on a host until a time.
type ledgerEntry struct {
	host  inventory.HostID
	size  inventory.VMSize
	until time.Time
}

// ledgerModel says by the rule alone (protocol rule X6.1) what is promised: an entry begins with SelectHost and
// lasts 180 s; with an answered composition its host is read again, which ends it; one whose outcome is
// not known lasts 180 s more, and DeleteVM ends every one.
type ledgerModel struct {
	lxd      *provision.LXD
	shelf    *shelf
	clock    *stepClock
	promises map[string]ledgerEntry
	composed map[string]bool
}

const hold = 180 * time.Second

func TestProperty_X6_1_the_ledger_holds_what_the_rule_says(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		clock := newStepClock()
		lxd, s := onShelf(drawShelf(t), clock.now)
		m := &ledgerModel{lxd: lxd, shelf: s, clock: clock, promises: map[string]ledgerEntry{}, composed: map[string]bool{}}
		t.Repeat(map[string]func(*rapid.T){
			"select":  m.choose,
			"dry run": m.dryRun,
			"compose": m.compose,
			"delete":  m.remove,
			"wait":    m.wait,
			"":        m.check,
		})
	})
}

// name draws one of a few names that was not composed, since a name is never composed twice.
func (m *ledgerModel) name(t *rapid.T) string {
	names := make([]string, 0, 6)
	for i := 0; len(names) < cap(names); i++ {
		if name := fmt.Sprintf("vm-%d", i); !m.composed[name] {
			names = append(names, name)
		}
	}
	return rapid.SampledFrom(names).Draw(t, "name")
}

func (m *ledgerModel) choose(t *rapid.T) {
	name, size := m.name(t), inventorytest.DrawSize(t)
	kept, had := m.promises[name]
	selection, err := m.lxd.SelectHost(t.Context(), provision.SelectRequest{Request: placement.Request{VM: name, Size: size}})
	hosts := m.promised(name)
	fits := func(id inventory.HostID) bool { return inventorytest.Takes(hostOn(hosts, id), size) }
	if err != nil {
		require.False(t, slices.ContainsFunc(hosts, func(h inventory.Host) bool { return fits(h.ID) }), "%v", err)
		return
	}
	require.True(t, fits(selection.Chosen.HostID), "%s has no room besides what is promised", selection.Chosen.HostName)
	if had && fits(kept.host) {
		require.Equal(t, kept.host, selection.Chosen.HostID, "the choice is kept while it fits")
	}
	m.promises[name] = ledgerEntry{host: selection.Chosen.HostID, size: size, until: m.clock.now().Add(hold)}
}

func (m *ledgerModel) dryRun(t *rapid.T) {
	_, _ = m.lxd.SelectHost(t.Context(), provision.SelectRequest{
		Request: placement.Request{VM: m.name(t), Size: inventorytest.DrawSize(t)}, DryRun: true,
	})
}

func (m *ledgerModel) compose(t *rapid.T) {
	m.settle()
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(m.promises)), func(name string) bool { return m.composed[name] })
	if len(names) == 0 {
		t.Skip("nothing was chosen")
	}
	name := rapid.SampledFrom(names).Draw(t, "name")
	p := m.promises[name]
	if !inventorytest.Takes(hostOn(m.promised(name), p.host), p.size) {
		t.Skip("a VM whose outcome is not known counts twice there")
	}
	m.shelf.next = rapid.SampledFrom([]outcomeOfMake{makes, makes, refuses, makesAndBreaks, breaks}).Draw(t, "outcome")
	duration := rapid.SampledFrom([]time.Duration{time.Second, 2 * time.Minute}).Draw(t, "duration")
	m.shelf.lasts = func() { m.clock.advance(duration) }
	_, err := m.lxd.ComposeVM(t.Context(), provision.ComposeRequest{
		Attempt: provision.Attempt{Number: 1, Name: name, HostID: p.host, HostName: hostOn(m.promised(""), p.host).Name}, Size: p.size,
	})
	m.composed[name] = true
	switch m.shelf.next {
	case makes:
		require.NoError(t, err)
		delete(m.promises, name)
	case refuses:
		require.Equal(t, fault.Refused, fault.KindOf(err), "%v", err)
		delete(m.promises, name)
	case makesAndBreaks:
		require.NoError(t, err, "the VM is found")
		p.until = m.clock.now().Add(hold)
		m.promises[name] = p
	case breaks:
		require.Equal(t, fault.Busy, fault.KindOf(err), "%v", err)
		p.until = m.clock.now().Add(hold)
		m.promises[name] = p
	}
}

func (m *ledgerModel) remove(t *rapid.T) {
	name := m.name(t)
	_, err := m.lxd.DeleteVM(t.Context(), provision.DeleteRequest{Attempts: []provision.Attempt{{Number: 1, Name: name}}})
	require.NoError(t, err)
	delete(m.promises, name)
}

func (m *ledgerModel) wait(t *rapid.T) {
	m.clock.advance(rapid.SampledFrom([]time.Duration{time.Second, 6 * time.Second, time.Minute, hold}).Draw(t, "time"))
}

// settle drops what is over, and moves on where an end is too near to tell.
func (m *ledgerModel) settle() {
	for _, p := range m.promises {
		if left := p.until.Sub(m.clock.now()); left.Abs() < time.Second {
			m.clock.advance(2 * time.Second)
		}
	}
	now := m.clock.now()
	maps.DeleteFunc(m.promises, func(_ string, p ledgerEntry) bool { return p.until.Before(now) })
}

// check holds what ListHosts tells of every host against MAAS less the promises.
func (m *ledgerModel) check(t *rapid.T) {
	m.settle()
	list, err := m.lxd.ListHosts(t.Context(), provision.HostFilter{})
	require.NoError(t, err)
	hosts := m.promised("")
	for _, h := range list.Hosts {
		want := hostOn(hosts, h.ID)
		require.Equal(t, want.Allowed().Cores-want.Used.Cores, h.Available.Cores, "cores of %s with %v promised", h.Name, m.promises)
		require.Equal(t, want.Allowed().MemoryMiB-want.Used.MemoryMiB, h.Available.MemoryMiB, "memory of %s with %v promised", h.Name, m.promises)
		for _, p := range want.StoragePools {
			require.Equal(t, p.AvailableBytes, h.PoolsAvailable[p.Name], "storage pool %s of %s", p.Name, h.Name)
		}
	}
}

// promised gives the hosts as they would be with every promised VM made, but for the one of that name.
func (m *ledgerModel) promised(name string) []inventory.Host {
	m.settle()
	m.shelf.mu.Lock()
	defer m.shelf.mu.Unlock()
	hosts := slices.Clone(m.shelf.hosts)
	for vm, p := range m.promises {
		if vm != name {
			hosts = inventorytest.WithVM(hosts, p.host, p.size)
		}
	}
	return hosts
}
