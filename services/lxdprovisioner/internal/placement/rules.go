package placement

import "github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"

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

// rule is one reason why a host may not, or can't, take a VM.
type rule struct {
	reason Reason
	stage  stage
	// asked says whether the request asks for what the rule looks at; nil where every request does.
	asked func(q *query) bool
	// rejects says whether the host is out. It is called for every host and must not allocate.
	rejects func(q *query, c *host) bool
	// explain says why, for a person. It is called only for a host that the rule rejects.
	explain func(q *query, c *host) string
}

// host is a host of the snapshot as the rules see it.
type host struct {
	*inventory.Host

	load *load
}

// rules are all rules in the order in which a host meets them; stages never go back.
var rules = []rule{
	lxdRule,
	poolRule,
	composableRule,
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

// fits is the verdict on a host that no rule rejects; any other verdict is an index of rules plus 1.
const fits verdict = 0

// verdict is the outcome for one host in one byte.
type verdict uint8

func (v verdict) rule() *rule { return &rules[v-1] }

// check is what judging a host needs of a rule.
type check struct {
	rejects func(q *query, c *host) bool
	verdict verdict
}

// checks gives the rules that look at something the request asks for.
func checks(q *query) []check {
	list := make([]check, 0, len(rules))
	for i := range rules {
		if rules[i].asked == nil || rules[i].asked(q) {
			list = append(list, check{rules[i].rejects, verdict(i + 1)})
		}
	}
	return list
}

// judge gives the verdict on a host.
func judge(q *query, c *host) verdict {
	for _, k := range q.checks {
		if k.rejects(q, c) {
			return k.verdict
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
	q, c := &query{}, &host{Host: &h, load: noLoad}
	for i := range rules {
		if s := rules[i].stage; s != stageLXD && s != stageUsable {
			continue
		}
		if rules[i].rejects(q, c) {
			return rejection(q, c, verdict(i+1)), true
		}
	}
	return Rejection{}, false
}
