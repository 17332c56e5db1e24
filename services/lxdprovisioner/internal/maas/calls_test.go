package maas_test

import (
	"context"
	"net/netip"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/maas"
)

// call makes a client send one request.
type call func(ctx context.Context, c *maas.Client) error

// userData is what deployments in these tests carry; none of it may show.
const userData = "#cloud-config\n# token abcdef.0123456789abcdef\nruncmd:\n- kubeadm join --config /run/kubeadm.yaml\n"

// calls are requests by the names of their operations; TestOperations demands that all are here.
var calls = map[string]call{
	"version.read":       func(ctx context.Context, c *maas.Client) error { _, err := c.Version(ctx); return err },
	"users.whoami":       func(ctx context.Context, c *maas.Client) error { _, err := c.Whoami(ctx); return err },
	"zones.list":         func(ctx context.Context, c *maas.Client) error { _, err := c.Zones(ctx); return err },
	"resourcepools.list": func(ctx context.Context, c *maas.Client) error { _, err := c.Pools(ctx); return err },
	"boot-resources.list": func(ctx context.Context, c *maas.Client) error {
		_, err := c.Images(ctx)
		return err
	},
	"events.query": func(ctx context.Context, c *maas.Client) error {
		_, _, err := c.LastError(ctx, "abc123")
		return err
	},
	"vm-hosts.list": func(ctx context.Context, c *maas.Client) error { _, err := c.VMHosts(ctx); return err },
	"vm-hosts.read": func(ctx context.Context, c *maas.Client) error { _, err := c.VMHost(ctx, "vmhost/3"); return err },
	"vm-hosts.parameters": func(ctx context.Context, c *maas.Client) error {
		_, err := c.VMHostProject(ctx, "vmhost/3")
		return err
	},
	"vm-hosts.refresh": func(ctx context.Context, c *maas.Client) error {
		_, err := c.RefreshVMHost(ctx, "vmhost/3")
		return err
	},
	"vm-hosts.compose": func(ctx context.Context, c *maas.Client) error {
		_, err := c.Compose(ctx, "vmhost/3", composeForm("cp-0"))
		return err
	},
	"machines.read": func(ctx context.Context, c *maas.Client) error { _, err := c.Machine(ctx, "abc123"); return err },
	"machines.list": func(ctx context.Context, c *maas.Client) error {
		_, err := c.Machines(ctx, maas.MachineFilter{Zones: []string{"az9"}})
		return err
	},
	"machines.find": func(ctx context.Context, c *maas.Client) error {
		_, err := c.MachinesByHostname(ctx, []string{"cp-0"})
		return err
	},
	"machines.claim": func(ctx context.Context, c *maas.Client) error {
		_, err := c.Claim(ctx, "abc123", "capmaas/cp-0")
		return err
	},
	"machines.allocate": func(ctx context.Context, c *maas.Client) error {
		_, err := c.AllocateMetal(ctx, "capmaas/md-0", maas.MetalConstraints{Cores: 4})
		return err
	},
	"machines.annotate": func(ctx context.Context, c *maas.Client) error {
		_, err := c.Annotate(ctx, "abc123", map[string]string{"capmaas-uid": "x"})
		return err
	},
	"machines.deploy": func(ctx context.Context, c *maas.Client) error {
		_, err := c.Deploy(ctx, "abc123", maas.DeployForm{Image: "ubuntu/jammy", UserData: []byte(userData)})
		return err
	},
	"machines.release": func(ctx context.Context, c *maas.Client) error {
		_, err := c.Release(ctx, "abc123", "done")
		return err
	},
	"machines.power_on": func(ctx context.Context, c *maas.Client) error {
		_, err := c.PowerOn(ctx, "abc123")
		return err
	},
	"machines.abort":  func(ctx context.Context, c *maas.Client) error { return c.Abort(ctx, "abc123", "") },
	"machines.delete": func(ctx context.Context, c *maas.Client) error { return c.DeleteMachine(ctx, "vmhost/3", "abc123") },
	"machines.update": func(ctx context.Context, c *maas.Client) error { return c.DisableSwap(ctx, "abc123") },
	"machines.query_power_state": func(ctx context.Context, c *maas.Client) error {
		_, err := c.QueryPower(ctx, "", "abc123")
		return err
	},
	"subnets.list": func(ctx context.Context, c *maas.Client) error { _, err := c.Subnets(ctx); return err },
	"subnets.reserved_ip_ranges": func(ctx context.Context, c *maas.Client) error {
		_, err := c.ReservedRanges(ctx, 4)
		return err
	},
	"subnets.ip_addresses": func(ctx context.Context, c *maas.Client) error {
		_, err := c.AssignedAddresses(ctx, 4)
		return err
	},
	"interfaces.link_subnet": func(ctx context.Context, c *maas.Client) error {
		_, err := c.LinkSubnet(ctx, "abc123", maas.LinkForm{
			InterfaceID: 46, SubnetID: 3, Mode: maas.LinkStatic, Address: netip.MustParseAddr("10.10.1.151"), Force: true,
		})
		return err
	},
	"dnsresources.find": func(ctx context.Context, c *maas.Client) error {
		_, err := c.Record(ctx, "api.cluster.example")
		return err
	},
	"dnsresources.create": func(ctx context.Context, c *maas.Client) error {
		_, err := c.CreateRecord(ctx, "api-c1.cluster.example", nil, nil)
		return err
	},
	"dnsresources.update": func(ctx context.Context, c *maas.Client) error {
		_, err := c.ReplaceAddresses(ctx, 12, nil, nil)
		return err
	},
	"dnsresources.delete": func(ctx context.Context, c *maas.Client) error { return c.DeleteRecord(ctx, 12) },
	"ipaddresses.release": func(ctx context.Context, c *maas.Client) error {
		return c.ReleaseAddress(ctx, netip.MustParseAddr("10.30.0.90"))
	},
}

func composeForm(name string) maas.ComposeForm {
	return maas.ComposeForm{
		Hostname: name, ZoneID: 2, PoolID: 0, Architecture: "amd64/generic", SkipCommissioning: true,
		Size: inventory.VMSize{Cores: 2, MemoryMiB: 4096, Disks: []inventory.Disk{{SizeGB: 20}}},
	}
}
