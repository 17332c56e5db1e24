package region

import (
	"container/heap"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// ErrNoMachine is what a stage direction about a machine that there is not fails with.
var ErrNoMachine = errors.New("no machine")

// Ending is how an operation ends that somebody ends ahead of its time.
type Ending struct {
	// Failed ends a commissioning, a deployment or a release as MAAS does when its time is over.
	Failed bool
	// ByHand writes the status as somebody does in the database: no event tells of it, and no script has passed.
	ByHand bool
	// Status and Power ("on" or "off") are what is written by hand; empty: what was due ends, the power state stays. With a status nothing
	// need be under way, and nothing but this is written.
	Status, Power string
	// Disown takes the owner away by hand.
	Disown bool
}

// check says what is wrong with an ending that could not be meant.
func (e Ending) check() error {
	if _, ok := parseStatus(e.Status); e.Status != "" && !ok {
		var names []string
		for _, n := range statusNames {
			names = append(names, n.filter)
		}
		return fmt.Errorf("unknown status %q: want one of %s", e.Status, strings.Join(names, ", "))
	}
	switch {
	case !slices.Contains([]string{"", "on", "off"}, e.Power):
		return fmt.Errorf("unknown power state %q: want on or off", e.Power)
	case !e.ByHand && (e.Status != "" || e.Power != "" || e.Disown):
		return errors.New("status, power and disown are written by hand: byHand is missing")
	case e.ByHand && e.Failed:
		return errors.New("an operation ends either as failed or by hand")
	}
	return nil
}

// Finish ends what is under way on a machine, or the inventory of a VM host's machine. It fails when there is no such machine or nothing is
// under way on it.
func (r *Region) Finish(name string, end Ending) error {
	if err := end.check(); err != nil {
		return err
	}
	defer r.begin()()
	m := r.machineNamed(name)
	if m == nil {
		m = r.machine(name)
	}
	if m == nil {
		return fmt.Errorf("%w %q", ErrNoMachine, name)
	}
	if end.ByHand {
		return r.finishByHand(m, end)
	}
	next, ok := r.plannedFor(m, end.Failed)
	if !ok {
		return fmt.Errorf("nothing is under way on machine %q, which is %s", name, m.status)
	}
	next.do()
	return nil
}

// plannedFor takes the next planned end of a machine from the agenda, or the end of MAAS's patience with it.
func (r *Region) plannedFor(m *machine, timeout bool) (planned, bool) {
	at := slices.IndexFunc(r.agenda, func(p planned) bool { return p.machine == m && p.epoch == m.epoch && p.timeout == timeout })
	if at < 0 {
		return planned{}, false
	}
	next, ok := heap.Remove(&r.agenda, at).(planned)
	return next, ok
}

// finishByHand writes what is asked for, or does what was planned and takes back what only MAAS itself would have written.
func (r *Region) finishByHand(m *machine, end Ending) error {
	if end.Status == "" {
		if err := r.finishSilently(m); err != nil {
			return err
		}
	} else {
		s, _ := parseStatus(end.Status) // it was checked
		m.set(s)
	}
	if end.Power != "" {
		m.powerOn = end.Power == "on"
	}
	if end.Disown {
		m.owner = nil
	}
	return nil
}

func (r *Region) finishSilently(m *machine) error {
	message, tested, powered, event := m.message, m.tested, m.powerOn, r.ids.event
	next, ok := r.plannedFor(m, false)
	if !ok {
		return fmt.Errorf("nothing is under way on machine %q, which is %s", m.hostname, m.status)
	}
	restore := r.keepRunning(m)
	next.do()
	restore()
	m.message, m.tested, m.powerOn = message, tested, powered
	for _, e := range r.events.of.Rows(m.systemID) {
		if e.id > event {
			r.events.Remove(e)
		}
	}
	return nil
}

// keepRunning returns a function that brings a VM in LXD back to running, or not running, as it is at the moment.
func (r *Region) keepRunning(m *machine) func() {
	if m.host == nil {
		return func() {}
	}
	running, err := r.lxd.Running(m.host.server, m.host.project, m.instance)
	return func() {
		if err == nil {
			_ = r.lxd.SetRunning(m.host.server, m.host.project, m.instance, running) // it was there a moment ago
		}
	}
}

// MutePower lets no end of a power command be reported, or each again. Commands are carried out all the same.
func (r *Region) MutePower(muted bool) {
	defer r.begin()()
	r.mutedPower = muted
}

// NamesIn returns the names of the VM host or the machine that the path of an operation is about, if it is about one.
func (r *Region) NamesIn(operation string, path map[string]string) []string {
	defer r.begin()()
	if m := r.lookUp(path["system_id"]); m != nil {
		return []string{m.hostname, m.systemID}
	}
	id, err := strconv.Atoi(path["id"])
	if err != nil || !strings.HasPrefix(operation, "vm-hosts.") {
		return nil
	}
	if h, ok := r.hosts.ByID(id); ok {
		return []string{h.name}
	}
	return nil
}

// AddSubnet makes a subnet with its ranges, and its fabric and VLAN where they are not there.
func (r *Region) AddSubnet(c Subnet) error {
	defer r.begin()()
	return r.addSubnet(c)
}

// AddMetal makes a bare-metal machine.
func (r *Region) AddMetal(c Metal) error {
	defer r.begin()()
	if r.machineNamed(c.Name) != nil {
		return fmt.Errorf("there is a machine %q already", c.Name)
	}
	return r.addMetal(c)
}

// Rebuild changes what an LXD server is made of; MAAS learns of it when it next takes the host's inventory. What is empty stays.
func (r *Region) Rebuild(name string, c Host) error {
	defer r.begin()()
	at := slices.IndexFunc(r.servers, func(s server) bool { return s.Name == name })
	if at < 0 {
		return r.lxd.Has(name)
	}
	s := r.servers[at]
	if c.Cores > 0 {
		s.Cores = c.Cores
	}
	if c.MemoryMiB > 0 {
		s.MemoryMiB = c.MemoryMiB
	}
	if len(c.Bridges) > 0 {
		s.Bridges = slices.Clone(c.Bridges)
	}
	if err := r.checkBridges(s.Host); err != nil {
		return err
	}
	r.servers[at] = s
	return nil
}
