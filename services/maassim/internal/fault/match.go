package fault

import (
	"slices"
	"strings"
)

func (f Fault) matches(req Request) bool {
	return matchesAny(f.Operation, req.Operation) && (f.Host == "" || slices.ContainsFunc(req.Hosts, f.Concerns)) && matchesAny(f.User, req.User) &&
		(f.Machine == "" || slices.ContainsFunc(req.Machine, func(name string) bool { return matchesAny(f.Machine, name) }))
}

// matchesAny reports whether one of the patterns, which commas separate, matches the name; no pattern matches all.
func matchesAny(patterns, name string) bool {
	if patterns == "" {
		return true
	}
	for pattern := range strings.SplitSeq(patterns, ",") {
		if matchesOne(strings.TrimSpace(pattern), name) {
			return true
		}
	}
	return false
}

// matchesOne compares a pattern in which * stands for any text.
func matchesOne(pattern, name string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == name
	}
	first, last := parts[0], parts[len(parts)-1]
	if !strings.HasPrefix(name, first) || !strings.HasSuffix(name[len(first):], last) {
		return false
	}
	name = name[len(first) : len(name)-len(last)]
	for _, part := range parts[1 : len(parts)-1] {
		_, rest, ok := strings.Cut(name, part)
		if !ok {
			return false
		}
		name = rest
	}
	return true
}
