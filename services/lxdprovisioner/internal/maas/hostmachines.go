package maas

import (
	"context"
	"net/url"
	"slices"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

// HostMachine is what MAAS knows of a VM host's own machine.
type HostMachine struct {
	inventory.HostMachine
	// Interfaces are the machine's, with type and VLAN.
	Interfaces []inventory.Interface
}

// Bridges gives the names of the machine's bridges.
func (h HostMachine) Bridges() []string {
	var names []string
	for _, i := range h.Interfaces {
		if i.Type == "bridge" {
			names = append(names, i.Name)
		}
	}
	return names
}

// HostMachines reads the hosts' own machines, 50 in one request, by system id. Machines that MAAS
// doesn't have are missing. No ids, no request.
func (c *Client) HostMachines(ctx context.Context, systemIDs []string) (map[string]HostMachine, error) {
	if err := checkSystemIDs(systemIDs); err != nil {
		return nil, err
	}
	out := make(map[string]HostMachine, len(systemIDs))
	for part := range slices.Chunk(systemIDs, fullBatch) {
		found, err := c.listMachines(ctx, opHostNodes, url.Values{"id": part})
		if err != nil {
			return nil, err
		}
		for _, m := range found {
			out[m.SystemID] = HostMachine{
				HostMachine: inventory.HostMachine{Status: m.Status, Power: m.Power, Tags: m.Tags},
				Interfaces:  m.Interfaces,
			}
		}
	}
	return out, nil
}
