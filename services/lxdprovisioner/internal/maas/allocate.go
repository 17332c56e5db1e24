package maas

import (
	"context"
	"fmt"
	"net/url"
	"regexp"
	"strconv"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

// maxWord is the longest agent name and annotation key that MAAS takes.
const maxWord = 255

// annotationKeys are the keys that MAAS takes; any other is a 500 that rolls back the whole call.
var annotationKeys = regexp.MustCompile(`^[A-Za-z0-9_.-]+$`)

// MetalConstraints ask for a bare-metal machine. What is empty is not asked for.
type MetalConstraints struct {
	Zone string
	Pool string
	// Tags must all be there; NotTags none of them.
	Tags    []string
	NotTags []string
	// Cores and MemoryMiB are minimums.
	Cores     int
	MemoryMiB int64
	// Architecture is MAAS's, for example "amd64".
	Architecture string
	// Hostname names one machine.
	Hostname string
	// Subnets and NotSubnets are names or CIDRs of subnets that the machine must or must not be on.
	Subnets    []string
	NotSubnets []string
	// NoVMHosts says that this MAAS has no VM hosts (MAAS_VMHOST_REMOVED) and refuses the filters
	// that keep VMs out; it has nothing to compose VMs on either.
	NoVMHosts bool
}

// Claim takes one Ready machine for the agent name. Its success proves the claim. Conflict
// (NAME_TAKEN) means that the machine isn't Ready: it may be ours from an earlier call, which
// Claimed tells. After an unknown outcome Claimed tells too.
func (c *Client) Claim(ctx context.Context, systemID, agentName string) (inventory.Machine, error) {
	if err := checkSystemID(systemID); err != nil {
		return inventory.Machine{}, err
	}
	return c.allocate(ctx, opClaim, agentName, systemID, url.Values{"system_id": {systemID}})
}

// AllocateMetal takes a Ready bare-metal machine that meets the constraints. A repeat takes another
// one: after an unknown outcome look for the agent name. NoRoom (NO_MACHINE_AVAILABLE) where none
// matches; NoCandidate where MAAS doesn't have the zone, pool or tag.
func (c *Client) AllocateMetal(ctx context.Context, agentName string, m MetalConstraints) (inventory.Machine, error) {
	form := url.Values{}
	set := func(key, value string) {
		if value != "" {
			form.Set(key, value)
		}
	}
	set("zone", m.Zone)
	set("pool", m.Pool)
	set("arch", m.Architecture)
	set("name", m.Hostname)
	for key, values := range map[string][]string{"tags": m.Tags, "not_tags": m.NotTags, "subnets": m.Subnets, "not_subnets": m.NotSubnets} {
		if len(values) > 0 {
			form[key] = values
		}
	}
	if m.Cores > 0 {
		form.Set("cpu_count", strconv.Itoa(m.Cores))
	}
	if m.MemoryMiB > 0 {
		form.Set("mem", strconv.FormatInt(m.MemoryMiB, 10))
	}
	if !m.NoVMHosts {
		// Two values: "lxd,virsh" as one excludes nothing, and MAAS then composes a VM by itself.
		form["not_pod_type"] = []string{"lxd", "virsh"}
	}
	return c.allocate(ctx, opAllocate, agentName, "", form)
}

// allocate takes the machine of the system id, or any where that is empty.
func (c *Client) allocate(ctx context.Context, op operation, agentName, systemID string, form url.Values) (inventory.Machine, error) {
	if agentName == "" || len(agentName) > maxWord {
		return inventory.Machine{}, fault.New(fault.Invalid, fault.ReasonBadRequest, "agent name %q: want 1 to %d characters", agentName, maxWord)
	}
	form.Set("agent_name", agentName)
	m, err := c.machine(ctx, ask{op: op, values: form}, systemID, inventory.StatusAllocated)
	if err != nil {
		return inventory.Machine{}, fmt.Errorf("allocate as %s: %w", agentName, err)
	}
	return m, nil
}

// Annotate sets workload annotations of a machine that our user owns; an empty value removes the
// key. May be repeated. Busy with NOT_READY where the machine isn't ours.
func (c *Client) Annotate(ctx context.Context, systemID string, annotations map[string]string) (inventory.Machine, error) {
	form := url.Values{}
	for key, value := range annotations {
		if !annotationKeys.MatchString(key) || len(key) > maxWord || key == "op" {
			return inventory.Machine{}, fault.New(fault.Invalid, fault.ReasonBadRequest, "MAAS takes no annotation key %q", key)
		}
		form.Set(key, value)
	}
	return c.change(ctx, systemID, ask{op: opAnnotate, values: form})
}

// change changes a machine and reads the machine that MAAS answers, in one of the states where any are given.
func (c *Client) change(ctx context.Context, systemID string, a ask, states ...inventory.Status) (inventory.Machine, error) {
	if err := checkSystemID(systemID); err != nil {
		return inventory.Machine{}, err
	}
	a.ids = []string{systemID}
	return c.machine(ctx, a, systemID, states...)
}
