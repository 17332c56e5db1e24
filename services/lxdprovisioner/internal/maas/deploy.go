package maas

import (
	"context"
	"encoding/base64"
	"net/url"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

// DeployForm is what a machine is deployed with.
type DeployForm struct {
	// Image is "os/series", for example "ubuntu/jammy", or "custom/name".
	Image string
	// UserData is cloud-init's, as it is; it is encoded here and never logged. MAAS doesn't look at it.
	UserData []byte
	// InMemory deploys without a disk.
	InMemory bool
}

// Deploy deploys a machine whose claim the caller has proved; with an admin's key MAAS deploys
// anybody's. Invalid with IMAGE_NOT_FOUND or DEPLOYMENT_REFUSED, NoRoom with ADDRESSES_EXHAUSTED,
// Busy with NOT_READY (read the machine: it may be Deploying by an earlier call) or MACHINE_LOCKED.
func (c *Client) Deploy(ctx context.Context, systemID string, d DeployForm) (inventory.Machine, error) {
	if d.Image == "" || len(d.UserData) == 0 {
		return inventory.Machine{}, fault.New(fault.Invalid, fault.ReasonBadRequest, "deploy %s: an image and user data are needed", systemID)
	}
	form := url.Values{
		"distro_series": {d.Image},
		"user_data":     {base64.StdEncoding.EncodeToString(d.UserData)},
	}
	if d.InMemory {
		form.Set("ephemeral_deploy", "true")
	}
	return c.change(ctx, systemID, ask{op: opDeploy, values: form, hidden: d.UserData}, inventory.StatusDeploying, inventory.StatusDeployed)
}

// Release releases a machine without erasing it; MAAS powers it off and wipes owner, agent name and
// annotations. May be repeated. The comment shows in MAAS's event log.
func (c *Client) Release(ctx context.Context, systemID, comment string) (inventory.Machine, error) {
	return c.change(ctx, systemID, ask{op: opRelease, values: url.Values{"comment": {comment}}},
		inventory.StatusReleasing, inventory.StatusDiskErasing, inventory.StatusReady, inventory.StatusNew)
}

// Abort ends a commissioning or deployment; MAAS may still show the old state for a moment. Busy
// with NOT_READY where nothing runs.
func (c *Client) Abort(ctx context.Context, systemID, comment string) error {
	_, err := c.change(ctx, systemID, ask{op: opAbort, values: url.Values{"comment": {comment}}})
	return err
}

// QueryPower asks the machine's power driver, for a VM its LXD, and takes up to 60 s. Unavailable
// with HOST_UNREACHABLE where that doesn't answer. The host is for the limit of long calls on one
// host, so that a dead one does not take every place; "" where it is not known.
func (c *Client) QueryPower(ctx context.Context, host inventory.HostID, systemID string) (inventory.Power, error) {
	if err := checkSystemID(systemID); err != nil {
		return "", err
	}
	var answer powerJSON
	if err := c.call(ctx, ask{op: opPower, ids: []string{systemID}, host: host, read: one(&answer)}); err != nil {
		return "", err
	}
	return inventory.Power(*answer.State), nil
}

type powerJSON struct {
	State *string `json:"state"`
}

func (p *powerJSON) check() *unfit {
	if p.State == nil {
		return missing("state")
	}
	return nil
}

// DisableSwap makes the next deployment of the machine come without a swap file. May be repeated.
func (c *Client) DisableSwap(ctx context.Context, systemID string) error {
	_, err := c.change(ctx, systemID, ask{op: opSwap, values: url.Values{"swap_size": {"0"}}})
	return err
}
