package provisionertest

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// machine is a MAAS machine: a VM where vm is set, else metal.
type machine struct {
	systemID string
	hostname string
	zone     string
	pool     string
	state    lxdprovisionerv1.MachineState
	message  string
	locked   bool
	// power is what a test has set; unset where the state says it.
	power lxdprovisionerv1.PowerState
	// agent is the name under which the machine is allocated; empty where it is not.
	agent string
	// foreign says that another provider allocated the machine, under no agent name.
	foreign   bool
	owner     *lxdprovisionerv1.Owner
	userData  []byte
	inMemory  bool
	addresses []*lxdprovisionerv1.Address
	// next is the state to which MAAS moves the machine at the time at.
	next lxdprovisionerv1.MachineState
	at   time.Time
	// hiddenUntil is when a VM whose composition is delayed appears.
	hiddenUntil time.Time
	// goneAt is when a machine that is being deleted goes.
	goneAt   time.Time
	observed time.Time

	vm    *vmPart
	metal *Metal
}

type vmPart struct {
	host *host
	size *lxdprovisionerv1.VMResources
}

var maasStatus = map[lxdprovisionerv1.MachineState]string{
	lxdprovisionerv1.MachineState_MACHINE_STATE_NEW:           "New",
	lxdprovisionerv1.MachineState_MACHINE_STATE_COMMISSIONING: "Commissioning",
	lxdprovisionerv1.MachineState_MACHINE_STATE_READY:         "Ready",
	lxdprovisionerv1.MachineState_MACHINE_STATE_ALLOCATED:     "Allocated",
	lxdprovisionerv1.MachineState_MACHINE_STATE_DEPLOYING:     "Deploying",
	lxdprovisionerv1.MachineState_MACHINE_STATE_DEPLOYED:      "Deployed",
	lxdprovisionerv1.MachineState_MACHINE_STATE_RELEASING:     "Releasing",
	lxdprovisionerv1.MachineState_MACHINE_STATE_FAILED:        "Failed deployment",
	lxdprovisionerv1.MachineState_MACHINE_STATE_BROKEN:        "Broken",
	lxdprovisionerv1.MachineState_MACHINE_STATE_OTHER:         "Rescue mode",
}

func (f *Fake) newMetal(m Metal) *machine {
	m.Cores, m.MemoryMiB, m.DiskGB = orInt(m.Cores, 16), orInt(m.MemoryMiB, 32768), orInt(m.DiskGB, 500)
	return &machine{
		systemID: f.newSystemID(), hostname: m.Name, zone: m.Zone, pool: m.Pool,
		state: lxdprovisionerv1.MachineState_MACHINE_STATE_READY, metal: &m,
	}
}

func orInt[N int32 | int64](n, fallback N) N {
	if n == 0 {
		return fallback
	}
	return n
}

// settle moves every machine whose time has come, and wakes the watches.
func (f *Fake) settle() {
	now := f.now()
	kept := f.machines[:0]
	for _, m := range f.machines {
		if !m.goneAt.IsZero() && !now.Before(m.goneAt) {
			continue
		}
		if !m.at.IsZero() && !now.Before(m.at) {
			m.state, m.at = m.next, time.Time{}
			if m.state == lxdprovisionerv1.MachineState_MACHINE_STATE_READY {
				m.free()
			}
		}
		m.observed = now
		kept = append(kept, m)
	}
	clear(f.machines[len(kept):])
	f.machines = kept
	close(f.moved)
	f.moved = make(chan struct{})
}

// move lets MAAS take the machine through one state into the next, after d.
func (f *Fake) move(m *machine, through, into lxdprovisionerv1.MachineState, d time.Duration) {
	m.state, m.next, m.at = through, into, f.now().Add(d)
	f.wakeAfter(d)
	f.settle()
}

// wakeAfter lets the watches look when d has passed on a real clock.
func (f *Fake) wakeAfter(d time.Duration) {
	if d <= 0 {
		return
	}
	time.AfterFunc(d, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.settle()
	})
}

// free takes the allocation away.
func (m *machine) free() {
	m.agent, m.foreign, m.owner, m.userData, m.inMemory, m.addresses = "", false, nil, nil, false, nil
}

// markedFor says whether the mark is the owner's: by UID, or by what stays when UIDs change. False where there is none.
func (m *machine) markedFor(owner *lxdprovisionerv1.Owner) bool {
	return m.owner != nil && (m.owner.GetMachineUid() == owner.GetMachineUid() ||
		m.owner.GetClusterId() == owner.GetClusterId() && m.owner.GetNamespace() == owner.GetNamespace() && m.owner.GetMachine() == owner.GetMachine())
}

// address gives the machine an address of each subnet that the families ask for, IPv4 where none is.
func (f *Fake) address(m *machine, network *lxdprovisionerv1.VMNetwork) {
	if len(m.addresses) > 0 {
		return
	}
	families := network.GetFamilies()
	if len(families) == 0 {
		families = []lxdprovisionerv1.AddressFamily{lxdprovisionerv1.AddressFamily_ADDRESS_FAMILY_IPV4}
	}
	for _, family := range families {
		if subnet := f.subnetOf(family, network.GetPreferredSubnets()); subnet != nil {
			f.nextIP++
			m.addresses = append(m.addresses, &lxdprovisionerv1.Address{Ip: nthAddress(subnet.GetCidr(), f.nextIP), Subnet: subnet.GetCidr(), Interface: "eth0"})
		}
	}
}

func (m *machine) status(claimed *bool) *lxdprovisionerv1.MachineStatus {
	power := lxdprovisionerv1.PowerState_POWER_STATE_OFF
	switch m.state {
	case lxdprovisionerv1.MachineState_MACHINE_STATE_DEPLOYED, lxdprovisionerv1.MachineState_MACHINE_STATE_DEPLOYING:
		power = lxdprovisionerv1.PowerState_POWER_STATE_ON
	default:
	}
	if m.power != lxdprovisionerv1.PowerState_POWER_STATE_UNSPECIFIED {
		power = m.power
	}
	return &lxdprovisionerv1.MachineStatus{
		State: m.state, MaasStatus: maasStatus[m.state], Message: m.message, Power: power, Locked: m.locked, Claimed: claimed,
		Hostname: m.hostname, Fqdn: m.hostname + ".maas", Addresses: m.addresses, ObservedAt: timestamppb.New(m.observed),
		Architecture: architecture, InMemory: m.inMemory, Owner: proto.CloneOf(m.owner),
	}
}

func (m *machine) toVM(claimed *bool) *lxdprovisionerv1.VM {
	return &lxdprovisionerv1.VM{
		Name: m.hostname, SystemId: m.systemID, ProviderId: fmt.Sprintf("maas-lxd:///%s/%s", m.zone, m.systemID),
		HostId: m.vm.host.id, HostName: m.vm.host.Name, Zone: m.zone, ResourcePool: m.pool, Project: &m.vm.host.Project,
		Resources: m.vm.size, Status: m.status(claimed),
	}
}

func (m *machine) toMachine() *lxdprovisionerv1.Machine {
	claimed := m.agent != ""
	return &lxdprovisionerv1.Machine{
		SystemId: m.systemID, ProviderId: fmt.Sprintf("maas:///%s/%s", m.zone, m.systemID), Zone: m.zone, ResourcePool: m.pool,
		Cores: m.metal.Cores, MemoryMib: m.metal.MemoryMiB, DiskGb: m.metal.DiskGB, Tags: m.metal.Tags, Status: m.status(&claimed),
	}
}

// SetState puts the machine or VM of the host name or system id into a state, with MAAS's message:
// a deployment that fails, a machine that is marked broken. It says whether there is such a machine.
func (f *Fake) SetState(nameOrSystemID string, state lxdprovisionerv1.MachineState, message string) bool {
	return f.change(nameOrSystemID, func(m *machine) { m.state, m.message, m.at = state, message, time.Time{} })
}

// SetPower sets what MAAS says of the power of the machine or VM; UNSPECIFIED lets its state say it again.
func (f *Fake) SetPower(nameOrSystemID string, power lxdprovisionerv1.PowerState) bool {
	return f.change(nameOrSystemID, func(m *machine) { m.power = power })
}

// SetLocked locks or unlocks the machine or VM, as an operator does in MAAS.
func (f *Fake) SetLocked(nameOrSystemID string, locked bool) bool {
	return f.change(nameOrSystemID, func(m *machine) { m.locked = locked })
}

// SetAddresses gives the machine or VM other addresses.
func (f *Fake) SetAddresses(nameOrSystemID string, ips ...string) bool {
	return f.change(nameOrSystemID, func(m *machine) {
		m.addresses = nil
		for _, ip := range ips {
			m.addresses = append(m.addresses, &lxdprovisionerv1.Address{Ip: ip, Subnet: f.cidrOf(ip), Interface: "eth0"})
		}
	})
}

// Remove lets the machine or VM vanish behind everybody's back.
func (f *Fake) Remove(nameOrSystemID string) bool {
	return f.change(nameOrSystemID, func(m *machine) { m.goneAt = f.now() })
}

func (f *Fake) change(nameOrSystemID string, do func(*machine)) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	m := f.find(nameOrSystemID)
	if m == nil {
		return false
	}
	do(m)
	f.settle()
	return true
}

// AddStranger makes a VM of the name on the host that belongs to somebody else.
func (f *Fake) AddStranger(name, hostID string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	h := f.host(hostID)
	if h == nil {
		return false
	}
	m := f.newVM(name, h, &lxdprovisionerv1.VMResources{Cores: 1, MemoryMib: 1024, Disks: []*lxdprovisionerv1.Disk{{SizeGb: 10}}})
	m.state, m.at, m.agent = lxdprovisionerv1.MachineState_MACHINE_STATE_DEPLOYED, time.Time{}, "somebody-else"
	f.settle()
	return true
}

func (f *Fake) newVM(name string, h *host, size *lxdprovisionerv1.VMResources) *machine {
	m := &machine{
		systemID: f.newSystemID(), hostname: name, zone: h.Zone, pool: h.Pool,
		state: lxdprovisionerv1.MachineState_MACHINE_STATE_READY, vm: &vmPart{host: h, size: proto.CloneOf(size)}, observed: f.now(),
	}
	f.machines = append(f.machines, m)
	return m
}
