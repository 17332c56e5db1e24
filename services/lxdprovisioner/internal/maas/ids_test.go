package maas_test

import (
	"context"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/maas"
)

// bySystemID are the methods that put a system id into a path or a filter.
var bySystemID = map[string]func(ctx context.Context, c *maas.Client, id string) error{
	"read": func(ctx context.Context, c *maas.Client, id string) error { _, err := c.Machine(ctx, id); return err },
	"claim": func(ctx context.Context, c *maas.Client, id string) error {
		_, err := c.Claim(ctx, id, "capmaas/x")
		return err
	},
	"claimed": func(ctx context.Context, c *maas.Client, id string) error {
		_, err := c.Claimed(ctx, id, "capmaas/x")
		return err
	},
	"annotate": func(ctx context.Context, c *maas.Client, id string) error {
		_, err := c.Annotate(ctx, id, nil)
		return err
	},
	"deploy": func(ctx context.Context, c *maas.Client, id string) error {
		_, err := c.Deploy(ctx, id, maas.DeployForm{Image: "ubuntu/jammy", UserData: []byte("x")})
		return err
	},
	"release": func(ctx context.Context, c *maas.Client, id string) error {
		_, err := c.Release(ctx, id, "")
		return err
	},
	"abort": func(ctx context.Context, c *maas.Client, id string) error { return c.Abort(ctx, id, "") },
	"power_on": func(ctx context.Context, c *maas.Client, id string) error {
		_, err := c.PowerOn(ctx, id)
		return err
	},
	"power": func(ctx context.Context, c *maas.Client, id string) error {
		_, err := c.QueryPower(ctx, "", id)
		return err
	},
	"swap": func(ctx context.Context, c *maas.Client, id string) error { return c.DisableSwap(ctx, id) },
	"delete": func(ctx context.Context, c *maas.Client, id string) error {
		return c.DeleteMachine(ctx, "vmhost/1", id)
	},
	"event": func(ctx context.Context, c *maas.Client, id string) error {
		_, _, err := c.LastError(ctx, id)
		return err
	},
	"list": func(ctx context.Context, c *maas.Client, id string) error {
		_, err := c.Machines(ctx, maas.MachineFilter{SystemIDs: []string{"abc123", id}})
		return err
	},
	"link": func(ctx context.Context, c *maas.Client, id string) error {
		_, err := c.LinkSubnet(ctx, id, maas.LinkForm{InterfaceID: 1, SubnetID: 1, Mode: maas.LinkAuto})
		return err
	},
}

// byNumber are the methods that put a number into a path.
var byNumber = map[string]func(ctx context.Context, c *maas.Client, n int) error{
	"ranges": func(ctx context.Context, c *maas.Client, n int) error { _, err := c.ReservedRanges(ctx, n); return err },
	"assigned": func(ctx context.Context, c *maas.Client, n int) error {
		_, err := c.AssignedAddresses(ctx, n)
		return err
	},
	"replace": func(ctx context.Context, c *maas.Client, n int) error {
		_, err := c.ReplaceAddresses(ctx, n, nil, []netip.Addr{netip.MustParseAddr("10.0.0.1")})
		return err
	},
	"delete": func(ctx context.Context, c *maas.Client, n int) error { return c.DeleteRecord(ctx, n) },
	"link": func(ctx context.Context, c *maas.Client, n int) error {
		_, err := c.LinkSubnet(ctx, "abc123", maas.LinkForm{InterfaceID: n, SubnetID: 1, Mode: maas.LinkAuto})
		return err
	},
	"subnet_of_a_link": func(ctx context.Context, c *maas.Client, n int) error {
		_, err := c.LinkSubnet(ctx, "abc123", maas.LinkForm{InterfaceID: 1, SubnetID: n, Mode: maas.LinkAuto})
		return err
	},
}

// byHost are the methods that put a VM host's number into a path.
var byHost = map[string]func(ctx context.Context, c *maas.Client, id inventory.HostID) error{
	"read": func(ctx context.Context, c *maas.Client, id inventory.HostID) error {
		_, err := c.VMHost(ctx, id)
		return err
	},
	"refresh": func(ctx context.Context, c *maas.Client, id inventory.HostID) error {
		_, err := c.RefreshVMHost(ctx, id)
		return err
	},
	"project": func(ctx context.Context, c *maas.Client, id inventory.HostID) error {
		_, err := c.VMHostProject(ctx, id)
		return err
	},
	"compose": composeOnHost,
}

func composeOnHost(ctx context.Context, c *maas.Client, id inventory.HostID) error {
	_, err := c.Compose(ctx, id, composeForm("cp-0"))
	return err
}

func TestIDs_X7_4_are_checked_before_they_become_paths(t *testing.T) {
	t.Parallel()
	g := serve(t, answer{200, form, "", "[]"})
	c := client(t, g.URL)
	for name, ask := range bySystemID {
		for _, id := range []string{
			"", " ", ".", "..", "../users/x", "abc/def", "abc123/", "/abc123", "%2e%2e", "abc%2Fdef", "ABC123", "abc 12", "abc123?x", "abc123#x", "abc12\n", "abcdé1", "ab",
		} {
			err := ask(t.Context(), c, id)
			require.Equalf(t, fault.Invalid, fault.KindOf(err), "%s of %q: %v", name, id, err)
		}
	}
	for name, ask := range byNumber {
		for _, n := range []int{0, -1, -1 << 62} {
			err := ask(t.Context(), c, n)
			require.Equalf(t, fault.Invalid, fault.KindOf(err), "%s of %d: %v", name, n, err)
		}
	}
	for name, ask := range byHost {
		for _, id := range []inventory.HostID{
			"", "vmhost/", "vmhost/0", "vmhost/-1", "vmhost/+1", "vmhost/07", "vmhost/1/", "vmhost/..", "vmhost/1/../2", "vmhost/1.0", "lxd/1", "1",
			"vmhost/99999999999999999999",
		} {
			err := ask(t.Context(), c, id)
			require.Equalf(t, fault.Invalid, fault.KindOf(err), "%s of %q: %v", name, id, err)
		}
	}
	require.Empty(t, g.seen(), "not one of them was sent")
	n, err := maas.VMHostNumber(maas.HostID(12))
	require.NoError(t, err)
	require.Equal(t, 12, n)
}
