package maas

import (
	"context"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

// PowerOn switches a Deployed machine on, and drops the user data that MAAS has stored for it. The caller
// has read that it is Deployed: MAAS deploys its default image on one that is Allocated, which is no
// success here. MAAS answers before its power state has changed.
func (c *Client) PowerOn(ctx context.Context, systemID string) (inventory.Machine, error) {
	return c.change(ctx, systemID, ask{op: opPowerOn}, inventory.StatusDeployed)
}
