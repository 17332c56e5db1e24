package region

import (
	"slices"

	"github.com/capmaas/capmaas/services/maassim/internal/rest"
)

// views are rows of an index, key by key; together they hold at least every machine that a filter lets pass.
type views [][]*machine

func (v views) size() int {
	n := 0
	for _, rows := range v {
		n += len(rows)
	}
	return n
}

// indexed are the filters that an index answers: each returns the views of its values. Those that are not here are only tested machine by
// machine; so are the others, once the smallest of their views are chosen.
var indexed = map[string]func(t *machineRows, r *Region, values []string) views{
	"id":          func(t *machineRows, _ *Region, v []string) views { return collect(v, t.bySystemID.View) },
	"system_id":   func(t *machineRows, _ *Region, v []string) views { return collect(v, t.bySystemID.View) },
	"hostname":    func(t *machineRows, _ *Region, v []string) views { return collect(v, t.byHostname.View) },
	"agent_name":  func(t *machineRows, _ *Region, v []string) views { return collect(v, t.byAgent.View) },
	"mac_address": func(t *machineRows, _ *Region, v []string) views { return collect(v, t.byMAC.View) },
	"zone":        func(t *machineRows, r *Region, v []string) views { return t.byZone.Views(named(v, r.zoneNamed)...) },
	"not_in_zone": func(t *machineRows, r *Region, v []string) views { return t.byZone.Except(named(v, r.zoneNamed)...) },
	"pool":        func(t *machineRows, r *Region, v []string) views { return t.byPool.Views(named(v, r.poolNamed)...) },
	"not_in_pool": func(t *machineRows, r *Region, v []string) views { return t.byPool.Except(named(v, r.poolNamed)...) },
	"owner":       func(t *machineRows, r *Region, v []string) views { return t.byOwner.Views(named(v, r.userNamed)...) },
	"not_owner":   func(t *machineRows, r *Region, v []string) views { return t.byOwner.Except(named(v, r.userNamed)...) },
	"status":      func(t *machineRows, _ *Region, v []string) views { return t.byStatus.Views(statuses(v)...) },
	"not_status":  func(t *machineRows, _ *Region, v []string) views { return t.byStatus.Except(statuses(v)...) },
	"pod":         func(t *machineRows, r *Region, v []string) views { return t.onHost.Views(named(v, r.hostNamed)...) },
	"tags":        rarestTag,
}

// candidates returns the machines that a list has to look at, in the order of their ids: those of its most selective filter that an index answers,
// or all. For allocate, agent_name is no filter. also are further views that hold every machine wanted.
func (r *Region) candidates(values *rest.Values, u *rest.User, allocate bool, also ...views) []*machine {
	t := &r.machines
	if !u.Admin {
		also = append(also, t.byOwner.Views(nil, u)) // canView
	}
	best, least := views(nil), t.Len()
	consider := func(v views) {
		if n := v.size(); n < least {
			best, least = v, n
		}
	}
	for _, v := range also {
		consider(v)
	}
	for _, name := range values.Names() {
		find, ok := indexed[name]
		if given := splitValues(name, values.All(name)); ok && len(given) > 0 && (!allocate || name != "agent_name") {
			consider(find(t, r, given))
		}
	}
	if least == t.Len() {
		return slices.Collect(t.All())
	}
	return t.Merge(best...)
}

func collect(keys []string, view func(string) []*machine) views {
	all := make(views, 0, len(keys))
	for _, key := range keys {
		all = append(all, view(key))
	}
	return all
}

// named finds what the names mean; names that mean nothing select nothing and shut nothing out.
func named[T any](names []string, find func(string) *T) []*T {
	var all []*T
	for _, name := range names {
		if x := find(name); x != nil {
			all = append(all, x)
		}
	}
	return all
}

func statuses(names []string) []status {
	var all []status
	for _, name := range names {
		if s, ok := parseStatus(name); ok {
			all = append(all, s)
		}
	}
	return all
}

// rarestTag looks at one tag alone, as a machine has to bear all of them.
func rarestTag(t *machineRows, _ *Region, tags []string) views {
	all := collect(tags, t.byTag.View)
	return views{slices.MinFunc(all, func(a, b []*machine) int { return len(a) - len(b) })}
}
