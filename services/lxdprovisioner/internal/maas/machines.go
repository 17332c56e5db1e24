package maas

import (
	"context"
	"maps"
	"net/url"
	"slices"
	"time"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

const (
	// differenceBatch is how many ids fit into the 8 KB request line of nginx; asked together with a
	// negation, of which few machines are returned.
	differenceBatch = 400
	// fullBatch is how many machines are asked for in full at a time: 1.4 s and 0.9 MB.
	fullBatch = 50
	// narrowFilter is how many machines count as few: 0.5 s.
	narrowFilter = 10
)

// MachineFilter selects machines. What is set must all hold; several values of one field are
// alternatives, of a negation all excluded. Unknown zones, pools and owners are faults.
type MachineFilter struct {
	SystemIDs  []string
	Hostnames  []string
	AgentNames []string
	Owners     []string
	Zones      []string
	Pools      []string
	// VMHosts are names of VM hosts. Some MAAS versions match parts of names: compare HostID.
	VMHosts  []string
	Statuses []inventory.Status
	// NotSystemIDs, NotStatuses, NotOwners and NotPowers exclude. Machines without an owner pass NotOwners. NotSystemIDs are no
	// filter by themselves, and not split over requests: some hundreds make a request line that nginx takes.
	NotSystemIDs []string
	NotStatuses  []inventory.Status
	NotOwners    []string
	NotPowers    []inventory.Power
}

// Machine reads one machine. NotFound (MACHINE_NOT_FOUND) where MAAS has none.
func (c *Client) Machine(ctx context.Context, systemID string) (inventory.Machine, error) {
	if err := checkSystemID(systemID); err != nil {
		return inventory.Machine{}, err
	}
	return c.machine(ctx, ask{op: opMachine, ids: []string{systemID}}, systemID)
}

// Machines lists the machines that match, in batches where there are many ids or names: 400 with
// a negation, 50 otherwise. A filter without any value is refused, since MAAS would list
// everything. An error means that nothing may be concluded, also of the batches before.
func (c *Client) Machines(ctx context.Context, f MachineFilter) ([]inventory.Machine, error) {
	query, err := f.values()
	if err != nil {
		return nil, err
	}
	size := fullBatch
	if len(f.NotStatuses)+len(f.NotOwners)+len(f.NotPowers) > 0 {
		size = differenceBatch
	}
	op := opMachines
	if f.narrow() {
		op = opByName
	}
	var out []inventory.Machine
	for _, part := range batches(query, size) {
		found, err := c.listMachines(ctx, op, part)
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	return out, nil
}

// MachinesByHostname finds machines by their host names, on whatever host they are; names that MAAS
// doesn't have are missing in the answer. No names, no request.
func (c *Client) MachinesByHostname(ctx context.Context, names []string) ([]inventory.Machine, error) {
	if slices.Contains(names, "") {
		return nil, fault.New(fault.Invalid, fault.ReasonBadRequest, "an empty host name can't be looked for")
	}
	var out []inventory.Machine
	for part := range slices.Chunk(names, fullBatch) {
		found, err := c.listMachines(ctx, opByName, url.Values{"hostname": part})
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	return out, nil
}

// Claimed reads the machine if it is allocated under the agent name, which is the proof of a claim:
// a machine's JSON doesn't tell its agent name. NotFound (MACHINE_NOT_FOUND) where it isn't ours.
func (c *Client) Claimed(ctx context.Context, systemID, agentName string) (inventory.Machine, error) {
	if err := checkSystemID(systemID); err != nil {
		return inventory.Machine{}, err
	}
	if agentName == "" {
		return inventory.Machine{}, fault.New(fault.Invalid, fault.ReasonBadRequest, "a claim without an agent name can't be proved")
	}
	found, err := c.listMachines(ctx, opByName, url.Values{"id": {systemID}, "agent_name": {agentName}})
	if err != nil {
		return inventory.Machine{}, err
	}
	for _, m := range found {
		if m.SystemID == systemID {
			return m, nil
		}
	}
	return inventory.Machine{}, fault.New(fault.NotFound, fault.ReasonMachineNotFound, "machine %s is not claimed as %s", systemID, agentName)
}

// DeleteMachine deletes a machine, and with it the VM of a composed one. Success proves nothing: MAAS
// forgets the machine also where LXD did not delete the VM. NotFound where it is gone already, Busy
// with MACHINE_LOCKED where an operator locked it. The caller makes sure that it is a VM of ours. host
// is the VM host that it runs on, for the limit of what runs there; empty where it isn't known.
func (c *Client) DeleteMachine(ctx context.Context, host inventory.HostID, systemID string) error {
	if err := checkSystemID(systemID); err != nil {
		return err
	}
	return c.call(ctx, ask{op: opDelete, ids: []string{systemID}, host: host})
}

// machine asks for something that MAAS answers with the machine: the one of the system id where that is
// given, and in one of the states where any are.
func (c *Client) machine(ctx context.Context, a ask, systemID string, states ...inventory.Status) (inventory.Machine, error) {
	asked := c.clock()
	var answer machineJSON
	a.read = that(&answer, func() *unfit {
		switch {
		case systemID != "" && answer.SystemID != systemID:
			return anothers("system_id")
		case len(states) > 0 && !slices.Contains(states, inventory.Status(answer.Status.value)):
			return &unfit{"status", "is not what the request leads to"}
		default:
			return nil
		}
	})
	if err := c.call(ctx, a); err != nil {
		return inventory.Machine{}, err
	}
	return answer.at(asked), nil
}

func (c *Client) listMachines(ctx context.Context, op operation, query url.Values) ([]inventory.Machine, error) {
	asked := c.clock()
	var answer []machineJSON
	if err := c.call(ctx, ask{op: op, values: query, read: each(&answer)}); err != nil {
		return nil, err
	}
	out := make([]inventory.Machine, 0, len(answer))
	for i := range answer {
		out = append(out, answer[i].at(asked))
	}
	return out, nil
}

func (m *machineJSON) at(asked time.Time) inventory.Machine {
	out := m.machine()
	out.ReadAt = asked
	return out
}

// values gives MAAS's parameters, and refuses a filter that would list everything.
func (f *MachineFilter) values() (url.Values, error) {
	if err := checkSystemIDs(slices.Concat(f.SystemIDs, f.NotSystemIDs)); err != nil {
		return nil, err
	}
	query := url.Values{}
	for key, values := range map[string][]string{
		"id": f.SystemIDs, "hostname": f.Hostnames, "agent_name": f.AgentNames, "owner": f.Owners,
		"zone": f.Zones, "pool": f.Pools, "pod": f.VMHosts, "not_owner": f.NotOwners,
		"status": words(f.Statuses, inventory.Status.FilterWord), "not_status": words(f.NotStatuses, inventory.Status.FilterWord),
		"not_power_state": words(f.NotPowers, func(p inventory.Power) string { return string(p) }),
	} {
		if slices.Contains(values, "") {
			return nil, fault.New(fault.Invalid, fault.ReasonBadRequest, "the machine filter %s has an empty value", key)
		}
		if len(values) > 0 {
			query[key] = values
		}
	}
	if len(query) == 0 {
		return nil, fault.New(fault.Invalid, fault.ReasonBadRequest, "a machine filter without any value would list every machine of MAAS")
	}
	if len(f.NotSystemIDs) > 0 {
		query["not_id"] = f.NotSystemIDs
	}
	return query, nil
}

// narrow says that few machines can match, so that the request need not wait for the one list.
func (f *MachineFilter) narrow() bool {
	for _, values := range [][]string{f.SystemIDs, f.Hostnames, f.AgentNames} {
		if n := len(values); n > 0 && n <= narrowFilter {
			return true
		}
	}
	return false
}

func words[T any](values []T, word func(T) string) []string {
	var out []string
	for _, v := range values {
		out = append(out, word(v))
	}
	return out
}

// batches splits a query by its longest list of ids or names.
func batches(query url.Values, size int) []url.Values {
	key := "id"
	if len(query["hostname"]) > len(query["id"]) {
		key = "hostname"
		size = min(size, fullBatch) // names are up to 63 characters long
	}
	if len(query[key]) <= size {
		return []url.Values{query}
	}
	var out []url.Values
	for part := range slices.Chunk(query[key], size) {
		one := maps.Clone(query)
		one[key] = part
		out = append(out, one)
	}
	return out
}
