package load

import (
	"cmp"
	"slices"

	"github.com/capmaas/capmaas/test/measured"
)

// Where in the repository the figures are kept, and the page that they are for.
const (
	MeasuredFile = "test/load/testdata/measured.json"
	Page         = "docs/performance.md"
)

// ReadMeasured gives what was measured last of everything. Nothing where there is no such file.
func ReadMeasured(file string) (Run, error) { return measured.ReadIfAny[Run](file) }

// WriteMeasured keeps a run, from which the page can be written and parts of which can be measured anew.
func WriteMeasured(file string, run Run) error { return measured.Keep(file, run) }

// With gives the run with what another one has measured put in, or in the place of what was measured before with as many
// machines. The fewest machines come first.
func (r Run) With(newer Run) Run {
	static := map[bool]int{true: 1}
	return Run{
		Lives: replaced(r.Lives, newer.Lives, func(a, b Figures) int {
			return cmp.Or(cmp.Compare(static[a.StaticIP], static[b.StaticIP]), cmp.Compare(a.Machines, b.Machines))
		}),
		Rest:   replaced(r.Rest, newer.Rest, func(a, b Rest) int { return cmp.Compare(a.Machines, b.Machines) }),
		Added:  replaced(r.Added, newer.Added, func(a, b Added) int { return cmp.Compare(a.Machines, b.Machines) }),
		Memory: replaced(r.Memory, newer.Memory, func(a, b Memory) int { return cmp.Compare(a.Machines, b.Machines) }),
		Outage: replaced(r.Outage, newer.Outage, func(a, b Outage) int { return cmp.Compare(a.Machines, b.Machines) }),
	}
}

// replaced gives all of the newer ones and those of the older that are of another number, in order.
func replaced[T any](older, newer []T, order func(a, b T) int) []T {
	all := slices.Clone(newer)
	for _, old := range older {
		if !slices.ContainsFunc(newer, func(n T) bool { return order(old, n) == 0 }) {
			all = append(all, old)
		}
	}
	slices.SortFunc(all, order)
	return all
}
