// Package lxd is the truth of the simulation: the LXD hosts and the instances that really exist on them.
//
// It knows nothing of MAAS. What MAAS believes is in package region, and the two differ exactly where a real MAAS and a real LXD do: after a
// compose whose answer was lost, after a DELETE while the host was off, after a VM was made or removed behind MAAS's back.
package lxd

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
)

// ErrOffline is the answer of a host that cannot be reached.
var ErrOffline = errors.New("Failed to connect to the LXD REST API: [Errno 113] No route to host") //nolint:staticcheck // pylxd's own words, MAAS passes them on

// ErrNotFound is the answer for an instance that the host does not have.
var ErrNotFound = errors.New("Instance not found")

// ErrNoHost is what stage directions about a host that there is not fail with.
var ErrNoHost = errors.New("no LXD host")

// Pool is a storage pool of a host.
type Pool struct {
	Name    string
	Driver  string // dir, zfs, lvm, btrfs, ceph
	Total   int64  // bytes
	Default bool
	Endless bool // takes every disk
}

// Disk is one disk of an instance.
type Disk struct {
	Pool string `json:"pool"`
	Size int64  `json:"size"` // bytes
}

// NIC is one network interface of an instance.
type NIC struct {
	Name   string `json:"name"`
	MAC    string `json:"mac"`
	Parent string `json:"parent"` // the host's bridge
}

// Instance is a virtual machine that exists on a host.
type Instance struct {
	Host      string `json:"host"`
	Project   string `json:"project"`
	Name      string `json:"name"`
	Cores     int    `json:"cores"`
	MemoryMiB int    `json:"memory"`
	Running   bool   `json:"running"`
	Disks     []Disk `json:"disks"`
	NICs      []NIC  `json:"nics"`
}

// World is every LXD host with its instances. It is safe for concurrent use.
type World struct {
	mu    sync.Mutex
	hosts map[string]*host
	order []string

	disconnected bool // no rack controller is there to reach them
	late         []arrival
}

type host struct {
	offline   bool
	interrupt int         // how many hold it unreachable for a while
	flapping  func() bool // says whether it is down at this moment; nil for a host that does not flap
	pools     []Pool
	instances map[key]*Instance
	made      []key            // in the order of their creation
	used      map[string]int64 // bytes that the disks of all instances take, by pool
	next      stage
}

type key struct{ project, name string }

// NewWorld returns a world without hosts.
func NewWorld() *World {
	return &World{hosts: make(map[string]*host)}
}

// AddHost adds a host with its storage pools; a host of that name must not exist.
func (w *World) AddHost(name string, pools []Pool) {
	defer w.begin()()
	w.hosts[name] = &host{pools: slices.Clone(pools), instances: make(map[key]*Instance), used: make(map[string]int64)}
	w.order = append(w.order, name)
}

// Has fails with ErrNoHost, which says which hosts there are, unless there is such a host.
func (w *World) Has(name string) error { return w.direct(name, func(*host) {}) }

// SetOffline makes a host unreachable, or reachable again. Its instances go on existing. It fails with ErrNoHost.
func (w *World) SetOffline(name string, offline bool) error {
	return w.direct(name, func(h *host) { h.offline = offline })
}

// Reach says why the host cannot be reached: ErrNoRack, ErrOffline, or nil when it can.
func (w *World) Reach(name string) error {
	defer w.begin()()
	_, err := w.reach(name)
	return err
}

// Create makes an instance. It fails with ErrOffline, or with LXD's words when the name is taken in that project.
func (w *World) Create(inst Instance) error {
	defer w.begin()()
	h, err := w.accept(inst)
	if err != nil {
		return err
	}
	h.add(inst)
	return nil
}

// accept returns the host that is to make an instance, or says why it does not.
func (w *World) accept(inst Instance) (*host, error) {
	h, err := w.reach(inst.Host)
	if err != nil {
		return nil, err
	}
	if err := h.next.failure; err != nil {
		h.next.failure = nil
		return nil, err
	}
	if h.has(inst) {
		return nil, fmt.Errorf("Instance %q already exists", inst.Name)
	}
	return h, nil
}

func (h *host) has(inst Instance) bool {
	_, ok := h.instances[key{inst.Project, inst.Name}]
	return ok
}

func (h *host) add(inst Instance) {
	k := key{inst.Project, inst.Name}
	inst.Disks, inst.NICs = slices.Clone(inst.Disks), slices.Clone(inst.NICs)
	h.instances[k] = &inst
	h.made = append(h.made, k)
	for _, d := range inst.Disks {
		h.used[d.Pool] += d.Size
	}
}

// Delete removes an instance, running or not. It fails with ErrOffline or ErrNotFound.
func (w *World) Delete(hostName, project, name string) error {
	defer w.begin()()
	h, err := w.reach(hostName)
	if err != nil {
		return err
	}
	k := key{project, name}
	inst, ok := h.instances[k]
	if !ok {
		return ErrNotFound
	}
	for _, d := range inst.Disks {
		h.used[d.Pool] -= d.Size
	}
	delete(h.instances, k)
	h.made = slices.DeleteFunc(h.made, func(other key) bool { return other == k })
	return nil
}

// SetRunning starts or stops an instance. It fails with ErrOffline or ErrNotFound.
func (w *World) SetRunning(hostName, project, name string, running bool) error {
	defer w.begin()()
	h, err := w.reach(hostName)
	if err != nil {
		return err
	}
	inst, ok := h.instances[key{project, name}]
	if !ok {
		return ErrNotFound
	}
	inst.Running = running
	return nil
}

// Running reports whether an instance runs. It fails with ErrOffline or ErrNotFound.
func (w *World) Running(hostName, project, name string) (bool, error) {
	defer w.begin()()
	h, err := w.reach(hostName)
	if err != nil {
		return false, err
	}
	inst, ok := h.instances[key{project, name}]
	if !ok {
		return false, ErrNotFound
	}
	return inst.Running, nil
}

// List returns the instances of every project of a host in the order of their creation. It fails with ErrOffline.
func (w *World) List(hostName string) ([]Instance, error) {
	defer w.begin()()
	h, err := w.reach(hostName)
	if err != nil {
		return nil, err
	}
	return h.list(), nil
}

// Instances returns every instance of every host, reachable or not, host by host.
func (w *World) Instances() []Instance {
	defer w.begin()()
	all := []Instance{}
	for _, name := range w.order {
		all = append(all, w.hosts[name].list()...)
	}
	return all
}

// Place chooses a storage pool for each disk as MAAS's LXD driver does: among the pools named by the disk's tags the first with room; without
// a tag that names a pool, the default pool. tags[i] belongs to sizes[i]; bytes.
func (w *World) Place(hostName string, sizes []int64, tags [][]string) ([]Disk, error) {
	defer w.begin()()
	h, err := w.reach(hostName)
	if err != nil {
		return nil, err
	}
	disks := make([]Disk, 0, len(sizes))
	for i, size := range sizes {
		pool, err := h.choose(size, tags[i])
		if err != nil {
			return nil, err
		}
		disks = append(disks, Disk{Pool: pool, Size: size})
	}
	return disks, nil
}

func (w *World) reach(name string) (*host, error) {
	if w.disconnected {
		return nil, ErrNoRack
	}
	h, ok := w.hosts[name]
	if !ok || !h.reachable() {
		return nil, ErrOffline
	}
	return h, nil
}

func (h *host) list() []Instance {
	list := make([]Instance, 0, len(h.made))
	for _, k := range h.made {
		inst := *h.instances[k]
		inst.Disks, inst.NICs = slices.Clone(inst.Disks), slices.Clone(inst.NICs)
		list = append(list, inst)
	}
	return list
}

func (h *host) choose(size int64, tags []string) (string, error) {
	var named []string
	for _, p := range h.pools {
		if !slices.Contains(tags, p.Name) {
			continue
		}
		named = append(named, p.Name)
		if h.free(p) >= size {
			return p.Name, nil
		}
	}
	if len(named) > 0 {
		return "", fmt.Errorf("Not enough storage space on storage pools: %s", strings.Join(named, ", ")) //nolint:staticcheck // the driver's words
	}
	for _, p := range h.pools {
		if !p.Default {
			continue
		}
		if h.free(p) < size {
			return "", fmt.Errorf("Not enough space in default storage pool: %s", p.Name) //nolint:staticcheck // the driver's words
		}
		return p.Name, nil
	}
	for _, p := range h.pools {
		if h.free(p) >= size {
			return p.Name, nil
		}
	}
	return "", errors.New("Not enough storage space on any storage pools") //nolint:staticcheck // the driver's words
}

func (h *host) free(p Pool) int64 {
	if p.Endless {
		return math.MaxInt64
	}
	return p.Total - h.used[p.Name]
}
