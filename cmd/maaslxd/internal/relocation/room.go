package relocation

import lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"

// room is what the hosts have left, less what the plan gives away.
type room struct {
	hosts map[string]*left
}

// left is what one host has left: cores, MiB, and GB of each storage pool by name, the default one by the empty name too.
type left struct {
	cores, memoryMiB int64
	pools            map[string]*int64
}

func newRoom(hosts []*lxdprovisionerv1.Host) *room {
	r := &room{hosts: map[string]*left{}}
	for _, h := range hosts {
		l := &left{cores: h.GetAvailable().GetCores(), memoryMiB: h.GetAvailable().GetMemoryMib(), pools: map[string]*int64{}}
		for _, p := range h.GetStoragePools() {
			free := p.GetAvailableGb()
			l.pools[p.GetName()] = &free
			if p.GetDefault() {
				l.pools[""] = &free
			}
		}
		r.hosts[h.GetId()] = l
	}
	return r
}

// take gives room away where there is enough. That a single VM fits has been judged by the service.
func (r *room) take(hostID string, size *lxdprovisionerv1.VMResources) bool {
	l := r.hosts[hostID]
	if l == nil || l.cores < int64(size.GetCores()) || l.memoryMiB < size.GetMemoryMib() {
		return false
	}
	disks := map[*int64]int64{}
	for _, d := range size.GetDisks() {
		if free := l.pools[d.GetStoragePool()]; free != nil {
			disks[free] += d.GetSizeGb()
		}
	}
	for free, wanted := range disks {
		if *free < wanted {
			return false
		}
	}
	l.cores -= int64(size.GetCores())
	l.memoryMiB -= size.GetMemoryMib()
	for free, wanted := range disks {
		*free -= wanted
	}
	return true
}
