package placement

import "github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"

// The terms by which hosts that fit are compared, in this order. Each is 0 to 1, higher is better.
const (
	// termKept is 1 for the host that was chosen for this VM before.
	termKept = iota
	// termZoneSpread falls with the group's VMs in the zone, from 1 for the zone with the fewest.
	termZoneSpread
	// termHostSpread falls with the group's VMs on the host.
	termHostSpread
	// termPreferred is 1 for a host that the request prefers.
	termPreferred
	// termPolicy is the policy's figure, in steps of 5 % where it is a share.
	termPolicy
	// termOwnShare is 1 for a host of this replica's own share.
	termOwnShare
	// termExact is the policy's figure without steps.
	termExact
	termCount
)

// terms are the values of a host's terms.
type terms [termCount]float64

// shareSteps is in how many steps shares are told apart before the own share decides: hosts within
// 5 % are as good, or replicas that read the same snapshot would all choose the same one.
const shareSteps = 20

// ScoreTerm is one term by which candidates are ranked.
type ScoreTerm struct {
	// Name is the term, for example "zone-spread".
	Name string
	// Value is 0 to 1, higher is better.
	Value float64
}

// Candidate is a host that fits.
type Candidate struct {
	HostID   inventory.HostID
	HostName string
	Zone     string
	Pool     string
	// Score follows the rank, from 1 for the best down to above 0; comparable only within one answer.
	Score float64
	// Terms are what the rank was made from; an earlier term outweighs all later ones.
	Terms []ScoreTerm
}

// named gives the terms their names under the policy.
func (t *terms) named(policy Policy) []ScoreTerm {
	step, exact := "balanced", "headroom"
	switch policy {
	case Pack:
		step, exact = "pack", "fill"
	case Spread:
		step = "spread"
	case Balanced:
	}
	names := [termCount]string{"kept", "zone-spread", "host-spread", "preferred-host", step, "own-share", exact}
	named := make([]ScoreTerm, termCount)
	for i, name := range names {
		named[i] = ScoreTerm{Name: name, Value: t[i]}
	}
	return named
}

// compare is positive where t is better than o, negative where it is worse.
func (t *terms) compare(o *terms) int {
	for i := range t {
		if t[i] != o[i] {
			if t[i] > o[i] {
				return 1
			}
			return -1
		}
	}
	return 0
}

// score fills in the terms of a host. Its zone counts as one with the fewest of the group: which
// zone has them depends on all candidates.
func (q *query) score(c *host, t *terms) {
	t[termKept] = yes(q.keep != "" && c.ID == q.keep)
	t[termZoneSpread] = 1
	t[termHostSpread] = 1
	if c.load.group > 0 {
		t[termHostSpread] = 1 / float64(1+c.load.group)
	}
	t[termPreferred] = yes(len(q.want.PreferredHosts) > 0 && named(q.want.PreferredHosts, c))
	t[termOwnShare] = yes(q.ownShare == nil || q.ownShare(c.ID))
	share := q.dominantShare(c)
	switch q.want.Policy {
	case Pack:
		t[termPolicy], t[termExact] = inSteps(share), share
	case Spread:
		t[termPolicy], t[termExact] = q.fewVMs(c), 1-share
	case Balanced:
		t[termPolicy], t[termExact] = inSteps(1-share), 1-share
	}
}

// dominantShare is how much of the host's scarcest resource is used with the VM on it, 0 to 1:
// cores and memory of what MAAS allows, and the storage pools that the VM needs.
func (q *query) dominantShare(c *host) float64 {
	share := used(c.allowedCores, c.coresLeft()-q.need.Cores)
	if s := used(c.allowedMemory, c.memoryLeft()-q.need.MemoryMiB); s > share {
		share = s
	}
	for i := range c.answer.needs {
		n := &c.answer.needs[i]
		if s := used(c.pool(n.pool).total, c.bytesLeft(n.pool)-n.bytes); s > share {
			share = s
		}
	}
	return share
}

// used is the share of a total that is not left, 0 to 1.
func used(total, left int64) float64 {
	switch {
	case total <= 0 || left <= 0:
		return 1
	case left >= total:
		return 0
	default:
		return 1 - float64(left)/float64(total)
	}
}

// fewVMs falls with the VMs on the host. Where it is not known how many those are, they count as
// so many VMs of the size that is asked for as make up the used cores.
func (q *query) fewVMs(c *host) float64 {
	vms := int64(c.VMs)
	if vms < 0 {
		vms = (max(c.allowedCores-c.freeCores, 0) + q.need.Cores - 1) / q.need.Cores
	}
	return 1 / float64(1+vms+int64(c.load.vms))
}

// inSteps rounds a share of 0 to 1 down to a step.
func inSteps(share float64) float64 { return float64(int(share*shareSteps)) / shareSteps }

func yes(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
