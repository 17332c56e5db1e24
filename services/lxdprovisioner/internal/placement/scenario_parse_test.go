package placement_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory/inventorytest"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/placement"
)

// story is the state of a scenario file. Its lines:
//
//	# a remark
//	hosts                    the inventory follows, one indented host a line, in place of any before
//	  lxd-1 zone=a pool=cp cores=8/32 mem=16/64GiB storage=ssd:100/500GB:default,hdd:900/2000GB
//	change lxd-1 power=off   changes fields of a host
//	ledger                   what is given out, one indented VM a line, in place of any before
//	  vm-1 host=lxd-1 cores=4 mem=8GiB disk=60GB group=cp
//	place vm=cp-0 cores=4 mem=8GiB disk=60GB,20GB@hdd pools=cp …
//	expect lxd-1             the host that must be chosen, or the class of the failure
//	distribute n=6 … as-many-as-fit
//	expect a=3 b=3           how many each zone must get, or the class of the failure
//	unusable                 asks Unusable of every host
//	available                asks what is left of every host
//	----                     the answer follows, up to an empty line
//
// What is expected is written by hand and never rewritten; the answer is the whole of it.
//
// Amounts of hosts are free/total before over-commit ratios are counted in; a host's id is its number
// in the list. What a line leaves out
// has the defaults of inventorytest.Host and of request.
type story struct {
	t        *testing.T
	hosts    []inventory.Host
	ledger   []placement.Reservation
	block    string
	question string
	// expected is what the story expects of the question, outcome what the code said, in the same words.
	expected, outcome string
}

func (s *story) snapshot() inventory.Snapshot { return inventory.Snapshot{Hosts: s.hosts} }

func (s *story) read(line string) {
	s.t.Helper()
	words := strings.Fields(line)
	switch {
	case len(words) == 0 || strings.HasPrefix(line, "#"):
	case strings.HasPrefix(line, "  ") && s.block == "hosts":
		h := inventorytest.Host(words[0], len(s.hosts))
		s.setHost(&h, words[1:])
		s.hosts = append(s.hosts, h)
	case strings.HasPrefix(line, "  ") && s.block == "ledger":
		s.ledger = append(s.ledger, s.reservation(words))
	case words[0] == "hosts":
		s.block, s.hosts, s.ledger = "hosts", nil, nil
	case words[0] == "ledger":
		s.block, s.ledger = "ledger", nil
	case words[0] == "expect":
		s.expected = strings.Join(words[1:], " ")
	case words[0] == "change":
		s.setHost(s.host(words[1]), words[2:])
	default:
		s.block, s.question, s.expected, s.outcome = "", line, "", ""
	}
}

func (s *story) host(name string) *inventory.Host {
	s.t.Helper()
	i := slices.IndexFunc(s.hosts, func(h inventory.Host) bool { return h.Name == name })
	require.GreaterOrEqual(s.t, i, 0, "no host %s", name)
	return &s.hosts[i]
}

// hostID gives the id of a host, or one that no host has.
func (s *story) hostID(name string) inventory.HostID {
	for i := range s.hosts {
		if s.hosts[i].Name == name {
			return s.hosts[i].ID
		}
	}
	return inventory.HostID("gone/" + name)
}

func (s *story) setHost(h *inventory.Host, words []string) {
	s.t.Helper()
	for _, word := range words {
		key, value, _ := strings.Cut(word, "=")
		switch key {
		case "id":
			h.ID = inventory.HostID("vmhost/" + value)
		case "type":
			h.Type = value
		case "zone":
			h.Zone.Name = value
		case "pool":
			h.Pool = inventory.Ref{ID: len(value), Name: value}
			if value == "default" {
				h.Pool.ID = 0
			}
		case "tags":
			h.Tags = listOf(value)
		case "capabilities":
			h.Capabilities = listOf(value)
		case "arch":
			h.Architectures = listOf(value)
		case "lxd":
			h.LXDVersion = value
		case "project":
			h.Project = value
		case "cores":
			h.Total.Cores, h.Used.Cores = s.freeOf(value, "")
		case "mem":
			h.Total.MemoryMiB, h.Used.MemoryMiB = s.freeOf(value, "GiB")
		case "cpu-ratio":
			h.CPURatio = s.float(value)
		case "mem-ratio":
			h.MemoryRatio = s.float(value)
		case "storage":
			h.StoragePools = s.storage(value)
			h.Total.DiskBytes, h.Used.DiskBytes = 0, 0
			for _, p := range h.StoragePools {
				h.Total.DiskBytes += p.TotalBytes
				h.Used.DiskBytes += p.UsedBytes
			}
		case "bridges":
			h.Bridges = listOf(value)
		case "vlans":
			h.VLANs = s.numbers(value)
		case "vms":
			h.VMs = int(s.number(value))
		default:
			s.setMachine(h, key, value)
		}
	}
}

func (s *story) setMachine(h *inventory.Host, key, value string) {
	s.t.Helper()
	if key == "machine" && value == "unknown" {
		h.Machine, h.SystemID = nil, ""
		return
	}
	require.NotNil(s.t, h.Machine, key)
	m := *h.Machine
	switch key {
	case "status":
		m.Status = inventory.Status(s.number(value))
	case "power":
		m.Power = inventory.Power(value)
	case "machine-tags":
		m.Tags = listOf(value)
	default:
		require.Fail(s.t, "no such field of a host", key)
	}
	h.Machine = &m
}

// freeOf reads "free/total" and gives total and used; memory in MiB.
func (s *story) freeOf(value, unit string) (total, used int64) {
	s.t.Helper()
	free, all, ok := strings.Cut(strings.TrimSuffix(value, unit), "/")
	require.True(s.t, ok, value)
	factor := int64(1)
	if unit == "GiB" {
		factor = 1024
	}
	total = s.number(all) * factor
	return total, total - int64(s.float(free)*float64(factor))
}

func (s *story) storage(value string) []inventory.StoragePool {
	s.t.Helper()
	var pools []inventory.StoragePool
	for _, text := range listOf(value) {
		parts := strings.Split(text, ":")
		require.GreaterOrEqual(s.t, len(parts), 2, text)
		free, all, _ := strings.Cut(strings.TrimSuffix(parts[1], "GB"), "/")
		pools = append(pools, inventorytest.Pool(parts[0], s.number(free), s.number(all), len(parts) == 3 && parts[2] == "default"))
	}
	return pools
}

func (s *story) reservation(words []string) placement.Reservation {
	s.t.Helper()
	r := placement.Reservation{VM: words[0], Size: inventory.VMSize{Cores: 1, MemoryMiB: 1024}}
	for _, word := range words[1:] {
		key, value, _ := strings.Cut(word, "=")
		switch key {
		case "host":
			r.Host = s.hostID(value)
		case "zone":
			r.Zone = value
		case "group":
			r.Group = value
		default:
			require.True(s.t, s.setSize(&r.Size, key, value), "no such field of the ledger: %s", key)
		}
	}
	return r
}

func (s *story) setSize(size *inventory.VMSize, key, value string) bool {
	s.t.Helper()
	switch key {
	case "cores":
		size.Cores = int(s.number(value))
	case "mem":
		size.MemoryMiB = s.memory(value)
	case "disk":
		size.Disks = nil
		for _, text := range listOf(value) {
			amount, pool, _ := strings.Cut(text, "@")
			size.Disks = append(size.Disks,
				inventory.Disk{SizeGB: s.number(strings.TrimSuffix(amount, "GB")), StoragePool: pool})
		}
	default:
		return false
	}
	return true
}

// request reads a question; without words it is a VM of 4 cores, 8 GiB and 60 GB. It gives the terms
// that are to be shown, too.
func (s *story) request(words []string) (req placement.PlanRequest, show []string) {
	s.t.Helper()
	req.VM = "vm-0"
	req.Size = inventory.VMSize{Cores: 4, MemoryMiB: 8192, Disks: []inventory.Disk{{SizeGB: 60}}}
	req.Pending = s.ledger
	for _, word := range words {
		key, value, _ := strings.Cut(word, "=")
		switch key {
		case "vm":
			req.VM = value
		case "n":
			req.Count = int(s.number(value))
		case "as-many-as-fit":
			req.AsManyAsFit = true
		case "show":
			show = listOf(value)
		case "keep":
			req.Keep = s.hostID(value)
		case "own":
			req.OwnShare = func(id inventory.HostID) bool {
				return slices.ContainsFunc(listOf(value), func(name string) bool { return s.hostID(name) == id })
			}
		case "group":
			req.Group.Key = value
		case "apart":
			req.Group.AntiAffinity = map[string]placement.AntiAffinity{"required": placement.Required}[value]
		case "peers":
			req.Group.Peers = s.peers(value)
		default:
			if !s.setSize(&req.Size, key, value) {
				s.constrain(&req.Constraints, key, value)
			}
		}
	}
	return req, show
}

func (s *story) constrain(c *placement.Constraints, key, value string) {
	s.t.Helper()
	switch key {
	case "zone":
		c.Zone = value
	case "zones":
		c.Zones = listOf(value)
	case "pools":
		c.Pools = listOf(value)
	case "tags":
		c.Tags = listOf(value)
	case "allow":
		c.AllowedHosts = listOf(value)
	case "prefer":
		c.PreferredHosts = listOf(value)
	case "exclude":
		for _, name := range listOf(value) {
			c.ExcludedHosts = append(c.ExcludedHosts, s.hostID(name))
		}
	case "project":
		c.Project = value
	case "profile":
		c.Profile = value
	case "arch":
		c.Architecture = value
	case "bridges":
		c.Bridges = listOf(value)
	case "subnets":
		for _, text := range listOf(value) {
			name, vlan, _ := strings.Cut(text, "@")
			c.Subnets = append(c.Subnets, placement.Subnet{Name: name, VLANID: int(s.number(vlan))})
		}
	case "policy":
		policy, ok := map[string]placement.Policy{
			"balanced": placement.Balanced, "pack": placement.Pack, "spread": placement.Spread,
		}[value]
		require.True(s.t, ok, value)
		c.Policy = policy
	default:
		require.Fail(s.t, "no such field of a request", key)
	}
}

// peers reads "vm@host" or, for a host that is gone, "vm@host/zone", and "vm@/zone" for one that is not
// known.
func (s *story) peers(value string) []placement.Peer {
	s.t.Helper()
	var peers []placement.Peer
	for _, text := range listOf(value) {
		name, where, ok := strings.Cut(text, "@")
		require.True(s.t, ok, text)
		host, zone, _ := strings.Cut(where, "/")
		peer := placement.Peer{Name: name, Zone: zone}
		if host != "" {
			peer.Host = s.hostID(host)
		}
		peers = append(peers, peer)
	}
	return peers
}

func (s *story) memory(value string) int64 {
	s.t.Helper()
	if mib, ok := strings.CutSuffix(value, "MiB"); ok {
		return s.number(mib)
	}
	return s.number(strings.TrimSuffix(value, "GiB")) * 1024
}

func (s *story) number(value string) int64 {
	s.t.Helper()
	n, err := strconv.ParseInt(value, 10, 64)
	require.NoError(s.t, err)
	return n
}

func (s *story) numbers(value string) []int {
	s.t.Helper()
	var all []int
	for _, text := range listOf(value) {
		all = append(all, int(s.number(text)))
	}
	return all
}

func (s *story) float(value string) float64 {
	s.t.Helper()
	f, err := strconv.ParseFloat(value, 64)
	require.NoError(s.t, err)
	return f
}

// listOf splits at commas; nothing is no element.
func listOf(value string) []string {
	if value == "" {
		return nil
	}
	return strings.Split(value, ",")
}
