package placement

import (
	"slices"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

// Reason says why a host may not, or can't, take a VM. It equals a value of the contract's enum
// RejectionReason without the prefix REJECTION_REASON_. Each stands beside its rule.
type Reason string

// Reasons lists every reason, for tests that walk them.
func Reasons() []Reason {
	var all []Reason
	for i := range rules {
		if !slices.Contains(all, rules[i].reason) {
			all = append(all, rules[i].reason)
		}
	}
	return all
}

// phrased words how many hosts are out for the reason, as a summary counts them.
func (r Reason) phrased(hosts int) string {
	for i := range rules {
		if rules[i].reason != r || rules[i].phrase == [2]string{} {
			continue
		}
		if hosts == 1 {
			return rules[i].phrase[0]
		}
		return rules[i].phrase[1]
	}
	return string(r)
}

// Rejection is a host that is out, and why.
type Rejection struct {
	HostID   inventory.HostID
	HostName string
	Zone     string
	Reason   Reason
	// Message says the same for a person, with numbers, for example "needs 16 GiB, has 12 GiB".
	Message string
}
