package maas_test

import (
	"context"
	"fmt"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/maas"
	"github.com/capmaas/capmaas/services/maassim"
)

// change is a request whose effect shows from outside.
type change struct {
	// prepare makes what must be there before, and gives the request.
	prepare func(t *testing.T, c *maas.Client) func(context.Context) error
	// operation is the simulator's name of the request.
	operation string
	// inside is what may go wrong in MAAS or LXD behind it.
	inside []maassim.Effect
}

var effects = map[string]change{
	"compose": {operation: "vm-hosts.compose", inside: []maassim.Effect{maassim.EffectComposeLost, maassim.EffectComposeAgain, maassim.EffectPostCommit}, prepare: func(t *testing.T, c *maas.Client) func(context.Context) error {
		t.Helper()
		compose(t, c, "cp-0")
		return func(ctx context.Context) error {
			_, err := c.Compose(ctx, "vmhost/1", composeForm("cp-1"))
			return err
		}
	}},
	"claim": {operation: "machines.allocate", prepare: func(t *testing.T, c *maas.Client) func(context.Context) error {
		t.Helper()
		m := compose(t, c, "cp-0")
		return func(ctx context.Context) error {
			_, err := c.Claim(ctx, m.SystemID, "capmaas/cp-0")
			return err
		}
	}},
	"annotate": {operation: "machines.set_workload_annotations", prepare: func(t *testing.T, c *maas.Client) func(context.Context) error {
		t.Helper()
		m := claimed(t, c)
		return func(ctx context.Context) error {
			_, err := c.Annotate(ctx, m.SystemID, map[string]string{"capmaas-uid": "u-1"})
			return err
		}
	}},
	"link": {operation: "interfaces.link_subnet", prepare: func(t *testing.T, c *maas.Client) func(context.Context) error {
		t.Helper()
		m := claimed(t, c)
		nic, ok := m.BootInterface()
		require.True(t, ok)
		ip := netip.MustParsePrefix(nic.Links[0].CIDR).Masked().Addr().As4()
		ip[3] = 77
		form := maas.LinkForm{InterfaceID: nic.ID, SubnetID: nic.Links[0].SubnetID, Mode: maas.LinkStatic, Address: netip.AddrFrom4(ip), Force: true}
		return func(ctx context.Context) error {
			_, err := c.LinkSubnet(ctx, m.SystemID, form)
			return err
		}
	}},
	"deploy": {operation: "machines.deploy", inside: []maassim.Effect{maassim.EffectPostCommit}, prepare: func(t *testing.T, c *maas.Client) func(context.Context) error {
		t.Helper()
		m := claimed(t, c)
		return func(ctx context.Context) error {
			_, err := c.Deploy(ctx, m.SystemID, maas.DeployForm{Image: "ubuntu/jammy", UserData: []byte(userData)})
			return err
		}
	}},
	"release": {operation: "machines.release", inside: []maassim.Effect{maassim.EffectPostCommit}, prepare: func(t *testing.T, c *maas.Client) func(context.Context) error {
		t.Helper()
		m := claimed(t, c)
		return func(ctx context.Context) error {
			_, err := c.Release(ctx, m.SystemID, "")
			return err
		}
	}},
	"delete": {operation: "machines.delete", inside: []maassim.Effect{maassim.EffectVMLeft}, prepare: func(t *testing.T, c *maas.Client) func(context.Context) error {
		t.Helper()
		m := claimed(t, c)
		return func(ctx context.Context) error { return c.DeleteMachine(ctx, m.HostID, m.SystemID) }
	}},
	"record": {operation: "dnsresources.create", prepare: func(_ *testing.T, c *maas.Client) func(context.Context) error {
		return func(ctx context.Context) error { _, err := record(ctx, c); return err }
	}},
	"record_emptied": {operation: "dnsresources.update", prepare: func(t *testing.T, c *maas.Client) func(context.Context) error {
		t.Helper()
		made, err := record(t.Context(), c)
		require.NoError(t, err)
		return func(ctx context.Context) error {
			_, err := c.ReplaceAddresses(ctx, made.ID, nil, nil)
			return err
		}
	}},
	"record_deleted": {operation: "dnsresources.delete", prepare: func(t *testing.T, c *maas.Client) func(context.Context) error {
		t.Helper()
		made, err := record(t.Context(), c)
		require.NoError(t, err)
		return func(ctx context.Context) error { return c.DeleteRecord(ctx, made.ID) }
	}},
	"address_released": {operation: "ipaddresses.release", prepare: func(t *testing.T, c *maas.Client) func(context.Context) error {
		t.Helper()
		made, err := record(t.Context(), c)
		require.NoError(t, err)
		require.NoError(t, c.DeleteRecord(t.Context(), made.ID))
		return func(ctx context.Context) error { return c.ReleaseAddress(ctx, made.Addresses[0].IP) }
	}},
}

func claimed(t *testing.T, c *maas.Client) inventory.Machine {
	t.Helper()
	m, err := c.Claim(t.Context(), compose(t, c, "cp-0").SystemID, "capmaas/cp-0")
	require.NoError(t, err)
	return m
}

func record(ctx context.Context, c *maas.Client) (inventory.DNSRecord, error) {
	return c.CreateRecord(ctx, "api.cluster.example", nil, []netip.Addr{netip.MustParseAddr("10.10.3.1")})
}

// disturbances are what may become of a request: what MAAS itself does, and what stands before MAAS, which
// may have passed the request on or not.
func (e change) disturbances() map[string]maassim.Fault {
	text := map[string]string{"Content-Type": plain}
	later := map[string]string{"Content-Type": plain, "Retry-After": "30"}
	all := map[string]maassim.Fault{
		"nothing": {}, "conflict": {Preset: "db-conflict"}, "no_rack": {Preset: "no-rack"}, "forbidden": {Preset: "forbidden"},
		"garbage": {Mangle: maassim.MangleGarbage}, "truncated": {Mangle: maassim.MangleTruncated}, "empty": {Mangle: maassim.MangleEmpty},
		"nulls": {Mangle: maassim.MangleNulls}, "wrong_types": {Mangle: maassim.MangleWrongTypes}, "page": {Mangle: maassim.MangleHTMLPage},
	}
	for _, effect := range e.inside {
		all[string(effect)] = maassim.Fault{Effect: effect}
	}
	for name, f := range map[string]maassim.Fault{
		"reset": {Reset: true}, "502": {Preset: "bad-gateway"}, "503": {Preset: "service-unavailable"}, "504": {Preset: "gateway-timeout"},
		"200_page":   {Status: 200, Header: map[string]string{"Content-Type": page}, Body: "<html>Please log in</html>"},
		"200_no_OK":  {Status: 200, Header: text, Body: "queued"},
		"202":        {Status: 202, Header: text},
		"408":        {Status: 408, Header: text, Body: "Request Timeout"},
		"425":        {Status: 425, Header: text, Body: "Too Early"},
		"429":        {Status: 429, Header: later, Body: "local_rate_limited"},
		"431":        {Status: 431, Header: text, Body: "Request Header Fields Too Large"},
		"502_text":   {Status: 502, Header: text, Body: "Bad Gateway"},
		"503_text":   {Status: 503, Header: text, Body: "upstream connect error or disconnect/reset before headers"},
		"503_later":  {Status: 503, Header: later, Body: "no healthy upstream"},
		"504_text":   {Status: 504, Header: text, Body: "upstream request timeout"},
		"504_silent": {Status: 504, Header: text},
	} {
		all[name+"_not_passed_on"] = f
		f.After = true
		all[name+"_passed_on"] = f
	}
	return all
}

// truth is all that a change could have changed, in MAAS and in LXD.
func truth(sim *maassim.Sim) string {
	return fmt.Sprintf("%+v\n%+v\n%+v\n%+v", sim.LXD(), sim.Machines(), sim.DNSRecords(), sim.Reservations())
}

// TestTruth holds what a caller concludes from an answer (docs/maas-operations.md) against what happened.
func TestTruth_X9_1_what_is_said_to_be_done_was_and_what_is_said_not_to_be_was_not(t *testing.T) {
	t.Parallel()
	for what, change := range effects {
		for name, disturbance := range change.disturbances() {
			t.Run(what+"/"+name, func(t *testing.T) {
				t.Parallel()
				sim, c := simulate(t, maassim.DefaultConfig(1, 1, 0), func(cfg *maas.Config) { cfg.Retry.Attempts = 1 })
				send := change.prepare(t, c)
				disturbance.Operation, disturbance.Count = change.operation, 1
				if name != "nothing" {
					require.NoError(t, sim.AddFaults(disturbance))
				}
				before := truth(sim)
				err := send(t.Context())
				switch {
				case err == nil:
					assert.NotEqual(t, before, truth(sim), "a success of nothing")
				case fault.ReasonOf(err) == fault.ReasonOutcomeUnknown:
				default:
					assert.Equal(t, before, truth(sim), "%v", err)
				}
				if name == "nothing" {
					require.NoError(t, err)
				}
			})
		}
	}
}
