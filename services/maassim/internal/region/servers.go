package region

import (
	"fmt"
	"slices"
	"strings"

	"github.com/capmaas/capmaas/services/maassim/internal/lxd"
)

// server is an LXD server that exists, whether MAAS knows it or not.
type server struct {
	Host
}

// addServer makes a server exist in LXD, with what its configuration leaves out filled in.
func (r *Region) addServer(c Host) Host {
	n := len(r.servers) + 1
	c.Address = orDefault(c.Address, fmt.Sprintf("10.20.%d.%d", n>>8, n&0xff))
	c.Type, c.Project = orDefault(c.Type, "lxd"), orDefault(c.Project, "maas")
	c.LXDVersion = orDefault(c.LXDVersion, orDefault(r.cfg.LXDVersion, "5.21.3"))
	c.Architecture = orDefault(c.Architecture, "amd64/generic")
	c.StoragePools = slices.Clone(c.StoragePools)
	pools := make([]lxd.Pool, 0, len(c.StoragePools))
	for i := range c.StoragePools {
		c.StoragePools[i].Driver = orDefault(c.StoragePools[i].Driver, "zfs")
		p := c.StoragePools[i]
		pools = append(pools, lxd.Pool{Name: p.Name, Driver: p.Driver, Total: p.Total, Default: p.Default, Endless: p.Endless})
	}
	r.lxd.AddHost(c.Name, pools)
	r.servers = append(r.servers, server{c})
	return c
}

// serverAt finds a server by a power_address, with or without scheme and port.
func (r *Region) serverAt(address string) (server, bool) {
	want := bareAddress(address)
	for _, s := range r.servers {
		if bareAddress(s.Address) == want {
			return s, true
		}
	}
	return server{}, false
}

// bareAddress leaves of a power_address what tells servers apart.
func bareAddress(address string) string {
	address = strings.TrimPrefix(address, "https://")
	return strings.TrimSuffix(strings.TrimSuffix(address, "/"), ":8443")
}

// lxdCapabilities are those of every LXD host that MAAS has reached.
var lxdCapabilities = []string{"composable", "dynamic_local_storage", "over_commit", "storage_pools"}
