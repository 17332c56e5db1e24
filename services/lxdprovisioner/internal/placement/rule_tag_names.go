package placement

import (
	"fmt"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

// BadTag is BAD_TAG of the contract.
const BadTag Reason = "BAD_TAG"

// tagNamesRule keeps hosts out whose own tags MAAS can't give to a VM: with any name that is not
// [A-Za-z0-9_-]+ every composition there fails, after the VM was made.
var tagNamesRule = rule{
	reason: BadTag,
	phrase: [2]string{"has a bad tag", "have a bad tag"},
	stage:  stageUsable,
	alone:  func(h *inventory.Host) bool { return badTag(h.Tags) >= 0 },
	explain: func(_ *query, c *host) string {
		return fmt.Sprintf("has the tag %q, with which every composition there fails: allowed are letters, digits, - and _",
			c.Tags[badTag(c.Tags)])
	},
}

// badTag gives the index of the first bad name, -1 where there is none.
func badTag(tags []string) int {
	for i, tag := range tags {
		if !goodTagName(tag) {
			return i
		}
	}
	return -1
}

func goodTagName(tag string) bool {
	for i := range len(tag) {
		b := tag[i]
		if (b < 'a' || b > 'z') && (b < 'A' || b > 'Z') && (b < '0' || b > '9') && b != '_' && b != '-' {
			return false
		}
	}
	return tag != ""
}
