package maassim

import (
	"fmt"
	"time"

	"github.com/capmaas/capmaas/services/maassim/internal/fault"
	"github.com/capmaas/capmaas/services/maassim/internal/lxd"
	"github.com/capmaas/capmaas/services/maassim/internal/region"
	"github.com/capmaas/capmaas/services/maassim/internal/rest"
)

// What a simulated MAAS is built from. Every type's zero fields mean what their comments say.
type (
	// HostConfig is an LXD host.
	HostConfig = region.Host
	// StoragePool is a storage pool of an LXD host.
	StoragePool = region.StoragePool
	// Bridge is a bridge of an LXD host that MAAS knows.
	Bridge = region.Bridge
	// MetalConfig is a bare-metal machine.
	MetalConfig = region.Metal
	// ZoneConfig is an availability zone.
	ZoneConfig = region.Zone
	// PoolConfig is a resource pool.
	PoolConfig = region.Pool
	// DomainConfig is a DNS domain.
	DomainConfig = region.Domain
	// SubnetConfig is a subnet with its VLAN and ranges.
	SubnetConfig = region.Subnet
	// Range is a range of addresses.
	Range = region.Range
	// ImageConfig is a boot resource.
	ImageConfig = region.Image
	// Durations are how long things take, in simulated time.
	Durations = region.Durations
)

// What can be seen from outside the API.
type (
	// Instance is a VM that exists in LXD.
	Instance = lxd.Instance
	// Machine is what MAAS believes of a machine.
	Machine = region.Machine
	// DNSRecord is a dnsresource of MAAS.
	DNSRecord = region.DNSRecord
	// Fault disturbs requests.
	Fault = fault.Fault
	// Effect is what a fault does inside MAAS or LXD.
	Effect = fault.Effect
	// Mangle is how a fault spoils an answer.
	Mangle = fault.Mangle
	// Operation is one operation of the API.
	Operation = rest.Operation
	// Spread is a distribution of a fault's latency.
	Spread = fault.Spread
)

// The effects of faults.
const (
	EffectComposeLost  = fault.ComposeLost
	EffectComposeAgain = fault.ComposeAgain
	EffectWindow       = fault.Window
	EffectVMLeft       = fault.VMLeft
	EffectFail         = fault.Fail
	EffectPostCommit   = fault.PostCommit
	EffectSlow         = fault.Slow
	EffectStuck        = fault.Stuck
	EffectHostOffline  = fault.HostOffline
)

// The ways in which a fault spoils an answer.
const (
	MangleGarbage    = fault.Garbage
	MangleTruncated  = fault.Truncated
	MangleEmpty      = fault.Empty
	MangleNulls      = fault.Nulls
	MangleWrongTypes = fault.WrongTypes
	MangleHTMLPage   = fault.HTMLPage
)

// The distributions of a fault's latency.
const (
	SpreadUniform     = fault.Uniform
	SpreadNormal      = fault.Normal
	SpreadExponential = fault.Exponential
	SpreadPareto      = fault.Pareto
)

// Default API keys, written consumer:token:secret. They protect nothing.
const (
	DefaultAPIKey     = "SimConsumerKey0001:SimTokenKey0000001:SimTokenSecretForAdmin0000000001"
	DefaultUserAPIKey = "SimConsumerKey0002:SimTokenKey0000002:SimTokenSecretForAlice0000000002"
)

// Config describes a simulated MAAS. The zero value is a MAAS 3.5 without hosts, with one subnet and one image, where everything that takes
// time is done at once; DefaultConfig gives one with hosts.
type Config struct {
	Version    string // of MAAS; empty: "3.5.4"; "3.6" and the like get a point release
	LXDVersion string // of hosts that name none; empty: "5.21.3"

	APIKey     string       // of the administrator "admin"; empty: DefaultAPIKey
	UserAPIKey string       // of the plain user "alice"; empty: DefaultUserAPIKey
	Users      []UserConfig // besides admin and alice

	Zones   []ZoneConfig // besides "default"
	Pools   []PoolConfig // besides "default"
	Domains []DomainConfig
	Subnets []SubnetConfig // none: "mgmt", 10.10.0.0/16
	Hosts   []HostConfig
	Metal   []MetalConfig
	Images  []ImageConfig // none: ubuntu/jammy
	Tags    []string      // tags that no machine bears

	Durations   Durations
	VMHostsGone bool // vm-hosts answers 410, as the MAAS after 3.8 does

	// Speed is how much faster than the clock the simulated time runs; 0 means 1.
	Speed float64
	// Clock tells the time on which the simulated time is based; nil: the system's. It moves what is due at some time, such as the end of a
	// deployment; calls that take time wait for real.
	Clock func() time.Time `json:"-"`
	// HandClock stands still until it is moved and takes Clock's place; calls that take time wait for it too.
	HandClock *HandClock `json:"-"`
	// Cost is what calls take besides what they wait for LXD, in simulated time; nil: nothing. RealCost is what was measured.
	Cost CostModel
	// Workers is the number of regiond processes: each serves four calls at once, further ones wait in the order of their arrival. 0: no limit.
	Workers int
	// AuthClock is the clock against which OAuth timestamps are checked; nil: the system's.
	AuthClock func() time.Time `json:"-"`
	// Faults are the fault plan to begin with. Seed makes what is random in it, and in the spread of durations, repeat.
	Faults []Fault
	Seed   uint64

	// Listen is where Start listens; empty: a free port of 127.0.0.1.
	Listen string
	// TLSListen is where Start serves MAAS over TLS as well; empty: nowhere. The plain port then answers as that of a MAAS with TLS does:
	// 301 to most requests.
	TLSListen string
	// TLSCertificate and TLSKey are PEM files; empty: a certificate is made for TLSListen that nobody trusts.
	TLSCertificate, TLSKey string
	// TLSURL is where plain requests are redirected to, such as "https://maas.example:5443", when somebody else serves the simulator over
	// TLS; Start sets it.
	TLSURL string
}

// DefaultConfig is a MAAS with VM hosts and bare-metal machines spread evenly over zones az1, az2 and so on. Hosts are lxd-1 and so on in
// pool "default", with 32 cores, 128 GiB and 2 TB each; metal machines are metal-1 and so on with 16 cores and 64 GiB. The bridge br1 on the
// data network, a /24, has an address on the first 200 hosts alone.
func DefaultConfig(hosts, zones, metal int) Config {
	cfg := Config{
		Domains: []DomainConfig{{Name: "cluster.example"}},
		Subnets: defaultSubnets(),
		Images: []ImageConfig{
			{Name: "ubuntu/jammy"},
			{Name: "ubuntu/noble", Architecture: "amd64/ga-24.04"},
			{Name: "u-2204-k8s-v1.34.0", Uploaded: true, Title: "Ubuntu 22.04 with Kubernetes v1.34.0"},
		},
	}
	zones = max(zones, 1)
	for z := range zones {
		cfg.Zones = append(cfg.Zones, ZoneConfig{Name: zoneName(z)})
	}
	for n := range hosts {
		data := Bridge{Name: "br1", Subnet: "data", NoAddress: n >= addressedHosts}
		cfg.Hosts = append(cfg.Hosts, HostConfig{
			Name: fmt.Sprintf("lxd-%d", n+1), Zone: zoneName(n % zones), Cores: 32, MemoryMiB: 128 << 10,
			StoragePools: []StoragePool{{Name: "default", Driver: "zfs", Total: 2e12, Default: true}},
			Bridges:      []Bridge{{Name: "br0", Subnet: "mgmt"}, data},
		})
	}
	for n := range metal {
		cfg.Metal = append(cfg.Metal, MetalConfig{
			Name: fmt.Sprintf("metal-%d", n+1), Zone: zoneName(n % zones), Cores: 16, MemoryMiB: 64 << 10, DiskGB: 500,
		})
	}
	return cfg
}

// addressedHosts is how many hosts have an address on the data network, which leaves a few of its 222 for machines.
const addressedHosts = 200

func zoneName(n int) string { return fmt.Sprintf("az%d", n+1) }

// defaultSubnets are a management network and a data network with both families.
func defaultSubnets() []SubnetConfig {
	return []SubnetConfig{
		{
			Name: "mgmt", CIDR: "10.10.0.0/16", Gateway: "10.10.0.1", DNS: []string{"10.10.0.2"}, Fabric: "fabric-mgmt", Space: "mgmt",
			Dynamic: []Range{{Start: "10.10.200.0", End: "10.10.220.255"}},
		},
		{
			Name: "data", CIDR: "10.30.0.0/24", Gateway: "10.30.0.1", DNS: []string{"10.30.0.2"}, Fabric: "fabric-data",
			Dynamic:        []Range{{Start: "10.30.0.200", End: "10.30.0.220"}},
			ReservedRanges: []Range{{Start: "10.30.0.10", End: "10.30.0.19"}},
		},
		{Name: "data6", CIDR: "fd00:30::/64", Gateway: "fd00:30::1", Fabric: "fabric-data"},
	}
}

// pointReleases complete a version that names only major and minor.
var pointReleases = map[string]string{"3.4": "3.4.10", "3.5": "3.5.4", "3.6": "3.6.2", "3.7": "3.7.1", "3.8": "3.8.0~beta6"}

// withDefaults fills what is empty.
func (c Config) withDefaults() Config {
	if c.Version == "" {
		c.Version = "3.5"
	}
	if full, ok := pointReleases[c.Version]; ok {
		c.Version = full
	}
	if c.APIKey == "" {
		c.APIKey = DefaultAPIKey
	}
	if c.UserAPIKey == "" {
		c.UserAPIKey = DefaultUserAPIKey
	}
	if len(c.Subnets) == 0 {
		c.Subnets = defaultSubnets()[:1]
	}
	if len(c.Images) == 0 {
		c.Images = []ImageConfig{{Name: "ubuntu/jammy"}}
	}
	if c.Speed == 0 {
		c.Speed = 1
	}
	if c.HandClock != nil {
		c.Clock = c.HandClock.Now
	}
	if c.Clock == nil {
		c.Clock = time.Now //nolint:forbidigo // the default of the clock that is passed in
	}
	if c.AuthClock == nil {
		c.AuthClock = time.Now //nolint:forbidigo // the default of the clock that is passed in
	}
	if c.Listen == "" {
		c.Listen = "127.0.0.1:0"
	}
	return c
}

func (c Config) region() region.Config {
	return region.Config{
		Version: c.Version, LXDVersion: c.LXDVersion, Zones: c.Zones, Pools: c.Pools, Domains: c.Domains, Subnets: c.Subnets,
		Hosts: c.Hosts, Metal: c.Metal, Images: c.Images, Tags: c.Tags, Durations: c.Durations, VMHostsGone: c.VMHostsGone, Seed: c.Seed,
	}
}
