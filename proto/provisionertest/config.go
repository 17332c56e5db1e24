package provisionertest

import (
	"fmt"
	"time"

	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// Config describes the region that a Fake plays. The zero value is a region of three zones with
// two hosts each, six bare-metal machines, two subnets, the domain "maas" and an image, in which
// nothing takes time.
type Config struct {
	// Zones are az1, az2 and az3 where empty.
	Zones []string
	// Pools are "default" and "lxd" where empty.
	Pools []string
	// Hosts are lxd-01 to lxd-06, two in each zone and all in pool "lxd", where nil.
	Hosts []Host
	// Metal are metal-01 to metal-06, two in each zone and all in pool "default", where nil.
	Metal []Metal
	// Subnets are 10.10.0.0/16 and fd00:10::/64 where nil.
	Subnets []*lxdprovisionerv1.Subnet
	// Images are ubuntu/jammy and custom/u-2204, amd64, where nil.
	Images []*lxdprovisionerv1.AvailableImage
	// Domains are the DNS domains; "maas" where empty.
	Domains []string
	// Version is what GetRegion calls the service's version; "test" where empty.
	Version string
	// CommissionFor is how long a new VM commissions; 0 makes it Ready at once.
	CommissionFor time.Duration
	// DeployFor is how long a machine deploys; 0 deploys it at once.
	DeployFor time.Duration
	// DeleteFor is how long a deletion runs, while DeleteVM answers DELETION_IN_PROGRESS.
	DeleteFor time.Duration
	// ReleaseFor is how long a released bare-metal machine stays Releasing.
	ReleaseFor time.Duration
	// SettleAfter is how old an unsettled attempt without a VM must be until DeleteVM believes that
	// none will appear; 300 s where 0.
	SettleAfter time.Duration
	// Clock is the real one where nil.
	Clock func() time.Time
}

// Host is an LXD host of a Fake. Zero amounts are 32 cores, 65536 MiB and 1000 GB.
type Host struct {
	Name      string
	Zone      string
	Pool      string
	Tags      []string
	Cores     int64
	MemoryMiB int64
	DiskGB    int64
	// StoragePool is "default" where empty.
	StoragePool string
	// Project is "default" where empty.
	Project string
	// Unusable is why the host takes no VM at all; unset where it does.
	Unusable lxdprovisionerv1.RejectionReason
}

// Metal is a bare-metal machine of a Fake. Zero amounts are 16 cores, 32768 MiB and 500 GB.
type Metal struct {
	Name      string
	Zone      string
	Pool      string
	Tags      []string
	Cores     int32
	MemoryMiB int64
	DiskGB    int64
}

const (
	defaultSettleAfter = 300 * time.Second
	// unknownFor is for how long after sent_at a composition may still run (protocol: 150 s).
	unknownFor = 150 * time.Second
	// choiceFor is for how long SelectHost's choice counts as used.
	choiceFor = 180 * time.Second

	// minMemoryMiB is the least memory with which MAAS composes.
	minMemoryMiB = 1024
	// maxUserData is the limit of the user data, in bytes.
	maxUserData = 2 << 20

	architecture = "amd64/generic"
	bridge       = "br0"
)

func (c Config) withDefaults() Config {
	orNames := func(names []string, fallback ...string) []string {
		if len(names) == 0 {
			return fallback
		}
		return names
	}
	c.Zones = orNames(c.Zones, "az1", "az2", "az3")
	c.Pools = orNames(c.Pools, "default", "lxd")
	c.Domains = orNames(c.Domains, "maas")
	if c.Hosts == nil {
		c.Hosts = defaultHosts(c.Zones)
	}
	if c.Metal == nil {
		c.Metal = defaultMetal(c.Zones)
	}
	if c.Subnets == nil {
		c.Subnets = []*lxdprovisionerv1.Subnet{
			{Id: 1, Name: "nodes", Cidr: "10.10.0.0/16", Gateway: "10.10.0.1", DnsServers: []string{"10.10.0.2"}, Managed: true, Space: "nodes"},
			{Id: 2, Name: "nodes-v6", Cidr: "fd00:10::/64", Gateway: "fd00:10::1", Managed: true, Space: "nodes"},
		}
	}
	if c.Images == nil {
		c.Images = []*lxdprovisionerv1.AvailableImage{
			{Name: "custom/u-2204", Architecture: "amd64", Title: "Ubuntu 22.04 with Kubernetes", Custom: true},
			{Name: "ubuntu/jammy", Architecture: "amd64", Title: "22.04 LTS"},
		}
	}
	if c.Version == "" {
		c.Version = "test"
	}
	if c.SettleAfter == 0 {
		c.SettleAfter = defaultSettleAfter
	}
	if c.Clock == nil {
		c.Clock = time.Now //nolint:forbidigo // the default for a clock that a test may pass in
	}
	return c
}

func defaultHosts(zones []string) []Host {
	const each = 2
	var hosts []Host
	for i := range each * len(zones) {
		hosts = append(hosts, Host{Name: fmt.Sprintf("lxd-%02d", i+1), Zone: zones[i%len(zones)], Pool: "lxd"})
	}
	return hosts
}

func defaultMetal(zones []string) []Metal {
	const each = 2
	var metal []Metal
	for i := range each * len(zones) {
		metal = append(metal, Metal{Name: fmt.Sprintf("metal-%02d", i+1), Zone: zones[i%len(zones)], Pool: "default"})
	}
	return metal
}
