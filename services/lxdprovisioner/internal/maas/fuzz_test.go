package maas_test

import (
	"context"
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/maas"
)

// The fuzz tests give answers to the client. Their seeds, which are answers of a real MAAS and what is
// easily wrong, run as ordinary tests; make fuzz looks further.

// fuzzed is a client whose region answers what the fuzz test says.
type fuzzed struct {
	*maas.Client
	next answer
	// asked is the path of the last request.
	asked string
}

func newFuzzed(f *testing.F) *fuzzed {
	f.Helper()
	z := &fuzzed{}
	c, err := maas.New(maas.Config{URL: "http://maas.invalid", Credentials: maas.StaticKey(testKey), Clock: time.Now, Retry: maas.Retry{Attempts: 1}})
	require.NoError(f, err)
	c.SendBy(z)
	z.Client = c
	return z
}

// RoundTrip answers without a network: it would take fifty times as long as what is fuzzed.
func (z *fuzzed) RoundTrip(r *http.Request) (*http.Response, error) {
	z.asked = r.URL.Path
	header := http.Header{"Content-Type": {z.next.ctype}}
	if z.next.again != "" {
		header.Set("Retry-After", z.next.again)
	}
	return &http.Response{
		StatusCode: z.next.status, Header: header, ContentLength: -1, Body: io.NopCloser(strings.NewReader(z.next.body)), Request: r,
	}, nil
}

// seeds are what every parser begins with, besides the answers of a real MAAS.
var seeds = []string{
	"", "null", "{}", "[]", "[null]", "[{}]", `""`, "0", "true", "[1,2]", `{"id":null}`, `{"id":"1"}`, `{"id":1.5}`, `{"id":-1}`, `{"id":1e999}`,
	`[{"id":1,"name":"x"}]`, `{"id":3,"name":"x","total":{"cores":"9"}}`, `{"system_id":"abc123"}`, `{"system_id":"../x","hostname":"a","status":4}`,
	`{"system_id":"abc123","hostname":"a","status":4,"unknown":{"deep":[1,{"x":null}]}}`, `[[[[[[[[[[]]]]]]]]]]`, "\xff\xfe", `{"id":1,"id":2}`, "{\"a\":\"\\u0000\"}",
}

// unreadable is everything that may be said of an answer that can't be read: names of our fields and
// words of ours, nothing of the answer.
var unreadable = regexp.MustCompile(`^(?:(?:compose|allocate as) [a-z0-9/ -]+: )?` +
	`[a-z-]+\.[a-z_]+: MAAS's answer can't be read: ` +
	`(?:(?:\[\d+\]\.?)?(?:` + fields + `)?(?:(?:\[\d+\])?\.(?:` + fields + `))*(?:\[\d+\])? )?` +
	`(?:is missing|is null, want (?:a list|an object)|is (?:` + kinds + `), want (?:` + kinds + `|a whole number)|is no JSON(?: at byte \d+)?|` +
	`is nested too deeply|has too many values|is too large|is no system id|is no status|is below [01]|is no address|is no network|` +
	`is before start|is no version|is another's|is not what the request leads to|is without the link that was asked for)$`)

const (
	kinds  = `a list|an object|a string|a number|true or false|something else`
	fields = `system_id|hostname|fqdn|status|status_name|status_message|error_description|power_state|power_type|owner|locked|architecture|cpu_count|memory|` +
		`storage|tag_names|zone|pool|pod|virtualmachine_id|ephemeral_deploy|ip_addresses|interface_set|boot_interface|workload_annotations|id|name|` +
		`mac_address|type|vlan|links|mode|ip_address|subnet|cidr|version|host|tags|capabilities|architectures|total|used|available|cores|local_storage|` +
		`cpu_over_commit_ratio|memory_over_commit_ratio|storage_pools|default|project|address_ttl|ip|alloc_type|gateway_ip|dns_servers|managed|space|` +
		`start|end|purpose|events|level|description|username|is_superuser|title|state`
)

// answers fuzzes the answers to one request; good says what must hold of what is read.
func answers[T any](f *testing.F, op string, ask func(context.Context, *maas.Client) (T, error), good func(*testing.T, T)) {
	f.Helper()
	for _, seed := range seeds {
		f.Add([]byte(seed))
	}
	if _, err := os.Stat(filepath.Join("testdata", "answers", op+".json")); err == nil {
		whole := answered(f, op)
		f.Add([]byte(whole))
		f.Add([]byte(whole[:len(whole)/2]))
		f.Add([]byte(strings.ReplaceAll(whole, `"id":`, `"id":"x",`)))
		f.Add([]byte("[" + whole + "]"))
	}
	z := newFuzzed(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		z.next = answer{http.StatusOK, form, "", string(body)}
		got, err := ask(t.Context(), z.Client)
		if err == nil {
			good(t, got)
			return
		}
		switch fault.KindOf(err) {
		case fault.NotFound: // a list without the thing
		case fault.Unavailable:
			require.Regexp(t, unreadable, err.Error())
		default:
			require.Fail(t, "another fault", "%v", err)
		}
	})
}

var systemID = regexp.MustCompile(`^[a-z0-9]{3,16}$`)

func goodMachine(t *testing.T, m inventory.Machine) {
	t.Helper()
	require.Regexp(t, systemID, m.SystemID)
	require.NotEmpty(t, m.Hostname)
	require.GreaterOrEqual(t, int(m.Status), 0)
	require.GreaterOrEqual(t, m.Zone.ID, 0)
	require.GreaterOrEqual(t, m.Pool.ID, 0)
	if m.HostID != "" {
		_, err := maas.VMHostNumber(m.HostID)
		require.NoError(t, err)
	}
	for _, a := range m.Addresses {
		require.True(t, a.IsValid())
	}
	for _, n := range m.Interfaces {
		goodInterface(t, n)
	}
}

func goodInterface(t *testing.T, n inventory.Interface) {
	t.Helper()
	require.Positive(t, n.ID)
	require.GreaterOrEqual(t, n.VLANID, 0)
	for _, l := range n.Links {
		require.Positive(t, l.ID)
		require.GreaterOrEqual(t, l.SubnetID, 0)
	}
}

func goodHost(t *testing.T, h inventory.Host) {
	t.Helper()
	_, err := maas.VMHostNumber(h.ID)
	require.NoError(t, err)
	require.NotEmpty(t, h.Name)
	if h.SystemID != "" {
		require.Regexp(t, systemID, h.SystemID)
	}
}

func goodRecord(t *testing.T, r inventory.DNSRecord) {
	t.Helper()
	require.NotEmpty(t, r.FQDN)
	for _, a := range r.Addresses {
		require.True(t, a.IP.IsValid())
	}
}

// all checks each part of a list.
func all[T any](good func(*testing.T, T)) func(*testing.T, []T) {
	return func(t *testing.T, list []T) {
		t.Helper()
		for _, one := range list {
			good(t, one)
		}
	}
}

func FuzzMachine(f *testing.F) {
	answers(f, "machines.read", func(ctx context.Context, c *maas.Client) (inventory.Machine, error) { return c.Machine(ctx, "abc123") }, goodMachine)
}

func FuzzMachines(f *testing.F) {
	answers(f, "machines.find", func(ctx context.Context, c *maas.Client) ([]inventory.Machine, error) {
		return c.MachinesByHostname(ctx, []string{"cp-0"})
	}, all(goodMachine))
}

func FuzzClaimed(f *testing.F) {
	answers(f, "machines.claim", func(ctx context.Context, c *maas.Client) (inventory.Machine, error) {
		return c.Claim(ctx, "abc123", "capmaas/cp-0")
	}, goodMachine)
}

func FuzzDeployed(f *testing.F) {
	answers(f, "machines.deploy", func(ctx context.Context, c *maas.Client) (inventory.Machine, error) {
		return c.Deploy(ctx, "abc123", maas.DeployForm{Image: "ubuntu/jammy", UserData: []byte(userData)})
	}, goodMachine)
}

// FuzzChanged gives the same answer to every other request that changes a machine and is answered with it.
func FuzzChanged(f *testing.F) {
	answers(f, "machines.read", func(ctx context.Context, c *maas.Client) ([]inventory.Machine, error) {
		var changed []inventory.Machine
		for _, ask := range []func() (inventory.Machine, error){
			func() (inventory.Machine, error) {
				return c.Annotate(ctx, "abc123", map[string]string{"capmaas-uid": "x"})
			},
			func() (inventory.Machine, error) { return c.Release(ctx, "abc123", "") },
			func() (inventory.Machine, error) { return c.PowerOn(ctx, "abc123") },
			func() (inventory.Machine, error) {
				return c.AllocateMetal(ctx, "capmaas/md-0", maas.MetalConstraints{})
			},
		} {
			m, err := ask()
			switch {
			case err == nil:
				changed = append(changed, m)
			case !unreadable.MatchString(err.Error()):
				return nil, err
			}
		}
		return changed, c.Abort(ctx, "abc123", "")
	}, all(goodMachine))
}

func FuzzComposed(f *testing.F) {
	answers(f, "vm-hosts.compose", func(ctx context.Context, c *maas.Client) (string, error) {
		return c.Compose(ctx, "vmhost/3", composeForm("cp-0"))
	}, func(t *testing.T, id string) { t.Helper(); require.Regexp(t, systemID, id) })
}

func FuzzVMHosts(f *testing.F) {
	answers(f, "vm-hosts.list", func(ctx context.Context, c *maas.Client) ([]inventory.Host, error) { return c.VMHosts(ctx) }, all(goodHost))
}

func FuzzVMHost(f *testing.F) {
	answers(f, "vm-hosts.refresh", func(ctx context.Context, c *maas.Client) (inventory.Host, error) {
		return c.RefreshVMHost(ctx, "vmhost/3")
	}, goodHost)
}

func FuzzVMHostRead(f *testing.F) {
	answers(f, "vm-hosts.read", func(ctx context.Context, c *maas.Client) (inventory.Host, error) { return c.VMHost(ctx, "vmhost/3") }, goodHost)
}

func FuzzParameters(f *testing.F) {
	answers(f, "vm-hosts.parameters", func(ctx context.Context, c *maas.Client) (string, error) { return c.VMHostProject(ctx, "vmhost/3") },
		func(*testing.T, string) {})
}

func FuzzPower(f *testing.F) {
	answers(f, "machines.query_power_state", func(ctx context.Context, c *maas.Client) (inventory.Power, error) {
		return c.QueryPower(ctx, "", "abc123")
	},
		func(*testing.T, inventory.Power) {})
}

func FuzzSubnets(f *testing.F) {
	answers(f, "subnets.list", func(ctx context.Context, c *maas.Client) ([]inventory.Subnet, error) { return c.Subnets(ctx) },
		all(func(t *testing.T, s inventory.Subnet) {
			t.Helper()
			require.Positive(t, s.ID)
			require.True(t, s.CIDR.IsValid())
		}))
}

func FuzzAssignedAddresses(f *testing.F) {
	answers(f, "subnets.ip_addresses", func(ctx context.Context, c *maas.Client) ([]netip.Addr, error) {
		return c.AssignedAddresses(ctx, 4)
	},
		all(func(t *testing.T, a netip.Addr) {
			t.Helper()
			require.True(t, a.IsValid())
		}))
}

func FuzzReservedRanges(f *testing.F) {
	answers(f, "subnets.reserved_ip_ranges", func(ctx context.Context, c *maas.Client) ([]maas.AddressRange, error) {
		return c.ReservedRanges(ctx, 4)
	},
		all(func(t *testing.T, r maas.AddressRange) {
			t.Helper()
			require.True(t, r.Start.IsValid() && r.End.IsValid() && !r.End.Less(r.Start))
		}))
}

func FuzzLinked(f *testing.F) {
	answers(f, "interfaces.link_subnet", func(ctx context.Context, c *maas.Client) (inventory.Interface, error) {
		return c.LinkSubnet(ctx, "abc123", maas.LinkForm{InterfaceID: 46, SubnetID: 3, Mode: maas.LinkAuto})
	}, goodInterface)
}

func FuzzRecordFound(f *testing.F) {
	answers(f, "dnsresources.find", func(ctx context.Context, c *maas.Client) (inventory.DNSRecord, error) {
		return c.Record(ctx, "api.cluster.example")
	}, goodRecord)
}

func FuzzRecordMade(f *testing.F) {
	answers(f, "dnsresources.create", func(ctx context.Context, c *maas.Client) (inventory.DNSRecord, error) {
		return c.CreateRecord(ctx, "api-c1.cluster.example", nil, []netip.Addr{netip.MustParseAddr("10.0.0.1")})
	}, goodRecord)
}

func FuzzRecordChanged(f *testing.F) {
	answers(f, "dnsresources.update", func(ctx context.Context, c *maas.Client) (inventory.DNSRecord, error) {
		return c.ReplaceAddresses(ctx, 1, nil, nil)
	}, goodRecord)
}

func FuzzEvents(f *testing.F) {
	answers(f, "events.query", func(ctx context.Context, c *maas.Client) (maas.Event, error) {
		e, _, err := c.LastError(ctx, "abc123")
		return e, err
	}, func(t *testing.T, e maas.Event) { t.Helper(); require.GreaterOrEqual(t, e.ID, 0) })
}

func FuzzImages(f *testing.F) {
	answers(f, "boot-resources.list", func(ctx context.Context, c *maas.Client) ([]inventory.Image, error) { return c.Images(ctx) },
		all(func(t *testing.T, i inventory.Image) { t.Helper(); require.NotEmpty(t, i.Name) }))
}

func FuzzZones(f *testing.F) {
	answers(f, "zones.list", func(ctx context.Context, c *maas.Client) ([]inventory.Zone, error) { return c.Zones(ctx) },
		all(func(t *testing.T, z inventory.Zone) { t.Helper(); require.NotEmpty(t, z.Name) }))
}

func FuzzPools(f *testing.F) {
	answers(f, "resourcepools.list", func(ctx context.Context, c *maas.Client) ([]inventory.Pool, error) { return c.Pools(ctx) },
		all(func(t *testing.T, p inventory.Pool) { t.Helper(); require.NotEmpty(t, p.Name) }))
}

func FuzzVersion(f *testing.F) {
	for _, text := range []string{"3.4.10", "3.7.0~rc1", "3.8~beta2", "3.", ".3", "3.-1", "99999999999.1", "3.4 "} {
		f.Add([]byte(`{"version": ` + strconv.Quote(text) + `}`))
	}
	answers(f, "version.read", func(ctx context.Context, c *maas.Client) (maas.Version, error) { return c.Version(ctx) },
		func(t *testing.T, v maas.Version) {
			t.Helper()
			require.True(t, strings.HasPrefix(strings.TrimLeft(v.Text, "0"), strings.TrimLeft(strconv.Itoa(v.Major), "0")), "%+v", v)
			require.LessOrEqual(t, len(v.Text), 64)
		})
}

func FuzzWhoami(f *testing.F) {
	answers(f, "users.whoami", func(ctx context.Context, c *maas.Client) (maas.User, error) { return c.Whoami(ctx) },
		func(t *testing.T, u maas.User) { t.Helper(); require.NotEmpty(t, u.Name) })
}

// FuzzRefusal gives answers that are no success. Whatever they say, the fault keeps the promises that
// callers rely on, and neither key nor user data shows.
func FuzzRefusal(f *testing.F) {
	for _, s := range sentences() {
		if len(s.recorded) == 0 {
			f.Add(s.said.status, s.said.ctype, s.said.again, s.said.body)
		}
	}
	f.Add(500, plain, "", userData)
	f.Add(400, plain, "-1", testKey)
	f.Add(401, page, "", "Authorization Error: 'Invalid signature. Expected signature base string: &"+leaked+"'")
	f.Add(409, page, "99999999999999999999", "")
	f.Add(503, "\x00", "Mon, 02 Jan 2006 15:04:05 GMT", "\xff")
	z := newFuzzed(f)
	f.Fuzz(func(t *testing.T, status int, ctype, again, body string) {
		if status < 300 || status > 599 || status == http.StatusNotModified {
			t.Skip("no answer that net/http lets a server give")
		}
		z.next = answer{status, ctype, again, body}
		for _, op := range []string{"machines.read", "machines.deploy", "vm-hosts.compose", "machines.delete"} {
			err := calls[op](t.Context(), z.Client)
			require.Error(t, err)
			require.NotContains(t, err.Error(), "\n")
			require.Less(t, len(err.Error()), 600)
			for _, hidden := range []string{consumer, token, secret, leaked, "abcdef.0123456789abcdef"} {
				if op == "machines.deploy" || hidden != "abcdef.0123456789abcdef" && (hidden != leaked || status == http.StatusUnauthorized) {
					require.NotContains(t, err.Error(), hidden)
				}
			}
			require.NotEqual(t, fault.Internal, fault.KindOf(err))
			require.False(t, fault.Is(err, fault.Refused) && op != "vm-hosts.compose", "X2.4")
			require.False(t, fault.Is(err, fault.NotFound) && status != http.StatusNotFound, "X4.5")
			if op != "machines.read" && status >= 500 && again == "" && strings.HasPrefix(ctype, "text/html") {
				require.Equal(t, fault.ReasonOutcomeUnknown, fault.ReasonOf(err), "a page is no proof that nothing was done")
			}
		}
	})
}
