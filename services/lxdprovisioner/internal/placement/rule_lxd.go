package placement

import "fmt"

// lxdRule keeps VM hosts of other types out: on virsh hosts MAAS makes other VMs.
var lxdRule = rule{
	reason:  NotLXD,
	stage:   stageLXD,
	rejects: func(_ *query, c *host) bool { return c.Type != "lxd" },
	explain: func(_ *query, c *host) string { return fmt.Sprintf("is a VM host of type %q, not lxd", c.Type) },
}
