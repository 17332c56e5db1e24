package placement

import (
	"math"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

// stage says how far a host came before a rule rejected it. The furthest stage of all hosts decides
// the class of a failure.
type stage int

const (
	// stageLXD is passed by every LXD host.
	stageLXD stage = iota
	// stagePool is passed by the hosts of the resource pools.
	stagePool
	// stageUsable is passed by hosts that can take some VM.
	stageUsable
	// stageZone is passed by the hosts of the zones.
	stageZone
	// stageMatch is passed by hosts that may take this VM.
	stageMatch
	// stageProject is passed by hosts with the LXD project.
	stageProject
	// stageStoragePool is passed by hosts that have the storage pools.
	stageStoragePool
	// stageSize is passed by hosts that are large enough when empty.
	stageSize
	// stageRoom is passed by hosts with room: they fit.
	stageRoom
)

// rule is one reason why a host may not, or can't, take a VM. One of alone, alike and rejects says
// whether a host is out; which one it is says what the rule may look at, and so how often it is
// asked. None of them may allocate.
type rule struct {
	reason Reason
	// phrase is what a summary says of one host and of several that are out for the reason; one rule
	// of a reason says it.
	phrase [2]string
	stage  stage
	// asked says whether the request asks for what the rule looks at; nil where every request does.
	asked func(q *query) bool
	// alone looks at the host and at no request: it is asked once a snapshot.
	alone func(h *inventory.Host) bool
	// alike looks at the request and at what the hosts of a kind have in common: it is asked once
	// for all of them.
	alike func(q *query, k *kind) bool
	// rejects looks at whatever it wants: it is asked for every host, while none of the rules before
	// has rejected it.
	rejects func(q *query, c *host) bool
	// counted says that host.roomy asks the same: where that says yes, rejects is not asked.
	counted bool
	// explain says why, for a person. It is called only for a host that the rule rejects.
	explain func(q *query, c *host) string
}

// rules are all rules in the order in which a host meets them; stages never go back.
var rules = []rule{
	lxdRule,
	poolRule,
	composableRule,
	zonedRule,
	lxdVersionRule,
	inventoriedRule,
	deployedRule,
	poweredOnRule,
	maintenanceRule,
	tagNamesRule,
	zoneRule,
	allowedRule,
	excludedRule,
	tagsRule,
	architectureRule,
	networkRule,
	subnetRule,
	antiAffinityRule,
	projectRule,
	storagePoolRule,
	largestCoresRule,
	largestMemoryRule,
	largestStorageRule,
	coresRule,
	memoryRule,
	storageRule,
}

// verdict is the outcome for one host in one byte: the position of the first rule that rejects it.
type verdict uint8

// fits is the verdict on a host that no rule rejects. It is above all positions, so that the lower
// of two verdicts is the one that the host meets first.
const fits verdict = math.MaxUint8

func (v verdict) rule() *rule { return &rules[v] }

// check is a rule that is asked, and the verdict if it rejects.
type check struct {
	*rule

	verdict verdict
}

// checksOf gives the rules of which the request asks something and that are asked in the same way.
func checksOf(q *query, sameWay func(r *rule) bool) []check {
	list := make([]check, 0, len(rules))
	for i := range rules {
		if r := &rules[i]; sameWay(r) && (r.asked == nil || r.asked(q)) {
			list = append(list, check{r, verdict(i)})
		}
	}
	return list
}

// rulesAlone gives the rules that are asked once a snapshot.
func rulesAlone() []check {
	return checksOf(nil, func(r *rule) bool { return r.alone != nil })
}

func judgeAlone(list []check, h *inventory.Host) verdict {
	for i := range list {
		if list[i].alone(h) {
			return list[i].verdict
		}
	}
	return fits
}

// judgeAlike gives the verdict on all hosts of a kind by the rules that look at nothing else.
func judgeAlike(list []check, q *query, k *kind) verdict {
	for i := range list {
		if list[i].alike(q, k) {
			return list[i].verdict
		}
	}
	return fits
}

// rejection words the verdict on a host that does not fit.
func rejection(q *query, c *host, v verdict) Rejection {
	r := v.rule()
	return Rejection{HostID: c.ID, HostName: c.Name, Zone: c.Zone.Name, Reason: r.reason, Message: r.explain(q, c)}
}

// Unusable says why the host can take no VM at all, whatever is asked; false where it can.
func Unusable(h inventory.Host) (Rejection, bool) {
	v := judgeAlone(rulesAlone(), &h)
	if v == fits {
		return Rejection{}, false
	}
	return rejection(&query{}, &host{Host: &h, load: noLoad}, v), true
}
