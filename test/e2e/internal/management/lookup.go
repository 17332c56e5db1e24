package management

import (
	"net/netip"

	"github.com/capmaas/capmaas/test/e2e/internal/resolver"
)

// service is the DNS name of the service's replicas.
const service = "lxdprovisioner.test"

// replicas are their addresses on loopback, as a headless Service has those of its Pods.
var replicas = []netip.Addr{netip.MustParseAddr("127.0.0.11"), netip.MustParseAddr("127.0.0.12")}

// Lookup answers for the replicas of the service, and passes every other name on.
func Lookup(others resolver.Lookup) resolver.Lookup {
	return func(name string) ([]netip.Addr, bool) {
		if name == service {
			return replicas, true
		}
		return others(name)
	}
}
