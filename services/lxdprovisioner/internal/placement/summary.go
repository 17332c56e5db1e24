package placement

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"unicode/utf8"
)

// summaryLimit is how many characters a summary has at most.
const summaryLimit = 200

// noFit says that no host fits and classes why. It tells first of the hosts that are nearest to fit: they
// want the least to be changed.
func (s *survey) noFit() *NoFit {
	furthest := stageLXD
	for _, v := range s.verdicts {
		furthest = max(furthest, v.rule().stage)
	}
	class := s.class(furthest)
	return &NoFit{Class: class, Summary: sentence(s.headline(class), s.tally(all, s.nearest(furthest))), Rejections: s.allRejections()}
}

// class is the failure's class by the furthest stage that a host came to.
func (s *survey) class(furthest stage) Class {
	switch furthest {
	case stageLXD:
		return NoHosts
	case stagePool:
		return NoHostInPool
	case stageUsable:
		if len(s.q.want.Pools) > 0 {
			return NoHostInPool
		}
		return NoHostMatches
	case stageZone:
		return NoHostInZone
	case stageMatch:
		return NoHostMatches
	case stageProject:
		return ProjectMissing
	case stageStoragePool:
		return StoragePoolMissing
	case stageSize:
		if !s.anyLargeEnough() {
			return TooLarge
		}
		return NoRoom
	default:
		return NoRoom
	}
}

// anyLargeEnough says whether some LXD host, matching or not, could hold the VM when empty. One of which
// MAAS does not know the size might.
func (s *survey) anyLargeEnough() bool {
	for i := range s.verdicts {
		c := s.q.host(i, noLoad)
		if lxdRule.alone(c.Host) {
			continue
		}
		if inventoriedRule.alone(c.Host) {
			return true
		}
		large := !storagePoolRule.alike(s.q, &s.q.index.kinds[c.kind])
		for _, r := range []*rule{&largestCoresRule, &largestMemoryRule, &largestStorageRule} {
			large = large && !r.rejects(s.q, &c)
		}
		if large {
			return true
		}
	}
	return false
}

// headline says what the class means for this request.
func (s *survey) headline(class Class) string {
	w := &s.q.want
	switch class {
	case NoHosts:
		return "MAAS knows no LXD host"
	case NoHostInPool:
		return "no usable LXD host in pool " + anyOf(w.Pools)
	case NoHostInZone:
		return "no usable LXD host in zone " + w.zonesText()
	case ProjectMissing:
		return fmt.Sprintf("MAAS tracks the LXD project %q on no host that matches", clip(w.Project, nameLimit))
	case StoragePoolMissing:
		return "no host that matches has " + s.storagePoolsText()
	case TooLarge:
		return fmt.Sprintf("no host is large enough for %s", s.size())
	case NoRoom:
		return fmt.Sprintf("0 of %s fit %s", count(len(s.verdicts), "host"), s.size())
	default:
		return fmt.Sprintf("none of %s may take the VM", count(len(s.verdicts), "host"))
	}
}

// storagePoolsText names the storage pools that the disks ask for.
func (s *survey) storagePoolsText() string {
	var names []string
	for _, d := range s.q.disks {
		if d.pool == "" {
			return "a default storage pool"
		}
		names = append(names, d.pool)
	}
	return "storage pool " + allOf(names)
}

// size words what the VM needs.
func (s *survey) size() string {
	return fmt.Sprintf("%s, %s, %s", count(s.q.need.Cores, "core"), memoryText(s.q.need.MemoryMiB), diskText(s.q.need.DiskBytes))
}

// chosenSummary says which host was chosen, of how many, and what became of the others.
func (s *survey) chosenSummary(r rank) string {
	h := s.at(r.host)
	among := fmt.Sprintf("best of %d that fit, of %d hosts", s.fitting, len(s.verdicts))
	if s.fitting == 1 {
		among = fmt.Sprintf("the only one of %s that fits", count(len(s.verdicts), "host"))
	}
	head := fmt.Sprintf("%s %s, %s", clip(h.Name, nameLimit), inZone(h.Zone.Name), among)
	return sentence(head, s.tally(all, none))
}

func profileSummary(profile string) string {
	return clip(fmt.Sprintf("MAAS gives a VM no LXD profile but its own, %q; it can't use %q", MAASProfile, profile), summaryLimit)
}

// some says yes to some of the hosts that are out.
type some func(i int, v verdict) bool

func all(int, verdict) bool { return true }

func none(int, verdict) bool { return false }

// nearest are the hosts that came furthest. Where those are in the wrong zone, it is the hosts of the
// right one, unusable as they are.
func (s *survey) nearest(furthest stage) some {
	if furthest == stageZone {
		return func(i int, _ verdict) bool { return !s.q.outside(s.at(i).Zone.Name) }
	}
	return func(_ int, v verdict) bool { return v.rule().stage == furthest }
}

// tally counts some of the hosts that are out by reason: the reasons of the first ones, then the others,
// the most frequent before those that are less so.
func (s *survey) tally(of, first some) []string {
	counts := make(map[Reason]int)
	ahead := make(map[Reason]bool)
	for i, v := range s.verdicts {
		if v != fits && of(i, v) {
			reason := v.rule().reason
			counts[reason]++
			ahead[reason] = ahead[reason] || first(i, v)
		}
	}
	reasons := slices.SortedFunc(maps.Keys(counts), func(a, b Reason) int {
		return cmp.Or(cmp.Compare(yes(ahead[b]), yes(ahead[a])), cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	parts := make([]string, len(reasons))
	for i, r := range reasons {
		parts[i] = fmt.Sprintf("%d %s", counts[r], r.phrased(counts[r]))
	}
	return parts
}

// nameLimit is how much of a name a summary shows, headLimit how much of what stands before the
// parts: the first part, which weighs most, always has room to be understood.
const nameLimit, headLimit = 48, 150

// more stands for parts that have no room.
const more = ", …"

// sentence puts as many parts behind the head as fit into a summary. The first is cut rather than
// left out.
func sentence(head string, parts []string) string {
	if len(parts) == 0 {
		return clip(head, summaryLimit)
	}
	text := clip(head, headLimit) + ": " + parts[0]
	for i, part := range parts[1:] {
		longer := text + ", " + part
		room := summaryLimit
		if i < len(parts)-2 {
			room -= utf8.RuneCountInString(more)
		}
		if utf8.RuneCountInString(longer) > room {
			return clip(text, summaryLimit-utf8.RuneCountInString(more)) + more
		}
		text = longer
	}
	return clip(text, summaryLimit)
}

// clip shortens a text to so many characters.
func clip(text string, limit int) string {
	if utf8.RuneCountInString(text) <= limit {
		return text
	}
	return string([]rune(text)[:limit-1]) + "…"
}
