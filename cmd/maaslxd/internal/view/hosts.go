package view

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"github.com/capmaas/capmaas/cmd/maaslxd/internal/advice"
	"github.com/capmaas/capmaas/cmd/maaslxd/internal/output"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// mibPerGiB is how many MiB a GiB has.
const mibPerGiB = 1024

// Use is how much of something is taken.
type Use struct {
	// Total is what there is, Limit what may be promised of it, over-commit counted in.
	Total int64 `json:"total"`
	Limit int64 `json:"limit"`
	// Taken is what is used or promised, Free what is left of the limit.
	Taken int64 `json:"taken"`
	Free  int64 `json:"free"`
}

func (u Use) plus(other Use) Use {
	return Use{Total: u.Total + other.Total, Limit: u.Limit + other.Limit, Taken: u.Taken + other.Taken, Free: u.Free + other.Free}
}

// use of a total of which so much is free; a ratio of 0 is none.
func use(total, free int64, ratio float64) Use {
	limit := int64(float64(total) * cmp.Or(ratio, 1))
	return Use{Total: total, Limit: limit, Taken: limit - free, Free: free}
}

// Rejection is why a host is out, and what to do.
type Rejection struct {
	Host     string `json:"host,omitempty"`
	Zone     string `json:"zone,omitempty"`
	Reason   string `json:"reason"`
	Message  string `json:"message"`
	WhatToDo string `json:"whatToDo"`
}

func newRejection(r *lxdprovisionerv1.Rejection) Rejection {
	return Rejection{
		Host: r.GetHostName(), Zone: r.GetZone(), Reason: advice.RejectionWord(r.GetReason()), Message: r.GetMessage(),
		WhatToDo: advice.ForRejection(r.GetReason()),
	}
}

// Host is an LXD host.
type Host struct {
	ID           string   `json:"id"`
	Name         string   `json:"name"`
	Zone         string   `json:"zone"`
	ResourcePool string   `json:"resourcePool"`
	Tags         []string `json:"tags,omitempty"`
	Project      string   `json:"project,omitempty"`
	LXDVersion   string   `json:"lxdVersion,omitempty"`
	Cores        Use      `json:"cores"`
	MemoryMiB    Use      `json:"memoryMiB"`
	DiskGB       Use      `json:"diskGB"`
	// Unusable is why the host takes no VM at all; nil where it does.
	Unusable *Rejection `json:"unusable,omitempty"`
}

// NewHost takes over what the service says of a host.
func NewHost(h *lxdprovisionerv1.Host) Host {
	host := Host{
		ID: h.GetId(), Name: h.GetName(), Zone: h.GetZone(), ResourcePool: h.GetResourcePool(), Tags: h.GetTags(),
		Project: h.GetProject(), LXDVersion: h.GetLxdVersion(),
		Cores:     use(h.GetTotal().GetCores(), h.GetAvailable().GetCores(), h.GetCpuOverCommitRatio()),
		MemoryMiB: use(h.GetTotal().GetMemoryMib(), h.GetAvailable().GetMemoryMib(), h.GetMemoryOverCommitRatio()),
		DiskGB:    use(h.GetTotal().GetDiskGb(), h.GetAvailable().GetDiskGb(), 1),
	}
	if r := h.GetUnusable(); r != nil {
		unusable := newRejection(r)
		unusable.Host, unusable.Zone = "", ""
		host.Unusable = &unusable
	}
	return host
}

// Zone is the sum of the usable hosts of a zone.
type Zone struct {
	Name      string `json:"name"`
	Hosts     int    `json:"hosts"`
	Usable    int    `json:"usable"`
	Cores     Use    `json:"cores"`
	MemoryMiB Use    `json:"memoryMiB"`
	DiskGB    Use    `json:"diskGB"`
}

// HostList is what hosts there are, by zone and name.
type HostList struct {
	ReadAt time.Time `json:"readAt,omitzero"`
	Zones  []Zone    `json:"zones"`
	Hosts  []Host    `json:"hosts"`
}

// NewHostList sorts hosts and sums them up.
func NewHostList(hosts []*lxdprovisionerv1.Host, snapshot *lxdprovisionerv1.SnapshotInfo) *HostList {
	list := &HostList{Zones: []Zone{}, Hosts: []Host{}}
	if at := snapshot.GetReadAt(); at != nil {
		list.ReadAt = at.AsTime()
	}
	for _, h := range hosts {
		list.Hosts = append(list.Hosts, NewHost(h))
	}
	slices.SortFunc(list.Hosts, func(a, b Host) int { return cmp.Or(cmp.Compare(a.Zone, b.Zone), cmp.Compare(a.Name, b.Name)) })
	for _, h := range list.Hosts {
		if n := len(list.Zones); n == 0 || list.Zones[n-1].Name != h.Zone {
			list.Zones = append(list.Zones, Zone{Name: h.Zone})
		}
		list.Zones[len(list.Zones)-1].add(h)
	}
	return list
}

func (z *Zone) add(h Host) {
	z.Hosts++
	if h.Unusable != nil {
		return
	}
	z.Usable++
	z.Cores, z.MemoryMiB, z.DiskGB = z.Cores.plus(h.Cores), z.MemoryMiB.plus(h.MemoryMiB), z.DiskGB.plus(h.DiskGB)
}

// Write writes a table of the hosts, the sum of each zone under its hosts, and then why hosts are unusable.
func (l *HostList) Write(p *output.Page) {
	if len(l.Hosts) == 0 {
		p.Linef("No hosts.")
		return
	}
	var rows [][]output.Cell
	at := 0
	for i := range l.Zones {
		z := &l.Zones[i]
		for _, h := range l.Hosts[at : at+z.Hosts] {
			rows = append(rows, h.row(p))
		}
		rows = append(rows, z.row(p))
		at += z.Hosts
	}
	p.Table([]string{"ZONE", "HOST", "POOL", "CORES", "MEMORY", "DISK", "LXD", "PROJECT", "STATE"}, rows)
	l.writeUnusable(p)
}

func (h Host) row(p *output.Page) []output.Cell {
	state := output.T(output.Good, "usable")
	if h.Unusable != nil {
		state = output.T(output.Bad, h.Unusable.Reason)
	}
	return append([]output.Cell{output.C(h.Zone), output.C(h.Name), output.C(h.ResourcePool)},
		append(bars(p, h.Cores, h.MemoryMiB, h.DiskGB), output.C(h.LXDVersion), output.C(h.Project), state)...)
}

func (z *Zone) row(p *output.Page) []output.Cell {
	count := strconv.Itoa(z.Usable) + "/" + strconv.Itoa(z.Hosts) + " usable"
	tone := output.Faint
	if z.Usable < z.Hosts {
		tone = output.Warning
	}
	return append([]output.Cell{output.C(z.Name), output.T(output.Faint, "= zone"), output.C("")},
		append(bars(p, z.Cores, z.MemoryMiB, z.DiskGB), output.C(""), output.C(""), output.T(tone, count))...)
}

func bars(p *output.Page, cores, memory, disk Use) []output.Cell {
	return []output.Cell{
		p.Bar(cores.Taken, cores.Limit, ""), p.Bar(memory.Taken/mibPerGiB, memory.Limit/mibPerGiB, " GiB"), p.Bar(disk.Taken, disk.Limit, " GB"),
	}
}

func (l *HostList) writeUnusable(p *output.Page) {
	var rows [][]output.Cell
	for _, h := range l.Hosts {
		if h.Unusable != nil {
			rows = append(rows, []output.Cell{output.C(h.Name), output.C(h.Unusable.Message), output.C(h.Unusable.WhatToDo)})
		}
	}
	if len(rows) > 0 {
		p.Headingf("Unusable:")
		p.Table([]string{"HOST", "WHY", "WHAT TO DO"}, rows)
	}
}
