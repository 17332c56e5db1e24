package campaign

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// String is what a run prints: a paragraph a phase.
func (f Figures) String() string {
	var out strings.Builder
	fmt.Fprintf(&out, "%d clusters, %d at a time; MAAS has %d hosts and %d region processes\n", f.Clusters, f.Concurrency, f.Hosts, f.Workers)
	for _, p := range f.Phases {
		out.WriteString(p.String())
	}
	if f.Broke != "" {
		fmt.Fprintf(&out, "broke: %s\n", f.Broke)
	}
	return out.String()
}

// String is a phase's paragraph.
func (p Phase) String() string {
	var out strings.Builder
	all := p.Requests()
	fmt.Fprintf(&out, "%s: %d clusters in %s, one in %s (95 %%: %s, most: %s)\n", p.Name, p.Done, seconds(p.Time), seconds(p.Clusters.Median), seconds(p.Clusters.P95), seconds(p.Clusters.Most))
	fmt.Fprintf(&out, "  %d machines made, %d removed; %d requests, %s of region time; at most %d waited there\n", p.Made, p.Removed, all.Count, seconds(all.Region), p.MostQueued)
	fmt.Fprintf(&out, "  longer than MAAS alone: VMs %s (95 %%: %s), metal %s (95 %%: %s); gone after %s (95 %%: %s)\n",
		tenths(p.VMs.Median), tenths(p.VMs.P95), tenths(p.Metal.Median), tenths(p.Metal.P95), tenths(p.Gone.Median), tenths(p.Gone.P95))
	for _, name := range slices.Sorted(maps.Keys(p.Operations)) {
		fmt.Fprintf(&out, "  %-36s %6d requests %8s of region time\n", name, p.Operations[name].Count, seconds(p.Operations[name].Region))
	}
	for _, filters := range slices.Sorted(maps.Keys(p.Lists)) {
		fmt.Fprintf(&out, "  machines.list by %-19s %6d requests\n", filters, p.Lists[filters])
	}
	for _, name := range slices.Sorted(maps.Keys(p.Processes)) {
		fmt.Fprintf(&out, "  %-36s %8s of CPU, %5d MiB at most\n", name, seconds(p.Processes[name].CPU), p.Processes[name].Peak>>20)
	}
	for _, name := range slices.Sorted(maps.Keys(p.Queues)) {
		fmt.Fprintf(&out, "  queue %-40s %5d at most\n", name, p.Queues[name])
	}
	return out.String()
}

func seconds(d time.Duration) string { return d.Round(time.Second).String() }

func tenths(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

// Document is the section of the page; nothing where nothing was measured.
func Document(all []Figures) string {
	if len(all) == 0 {
		return ""
	}
	var out strings.Builder
	for _, part := range []func(*strings.Builder, []Figures){writeTimes, writeOperations, writePrograms, writeLimits} {
		out.WriteString("\n")
		part(&out, all)
	}
	out.WriteString("\n")
	return out.String()
}

func table(out *strings.Builder, title, about string, columns ...string) {
	fmt.Fprintf(out, "### %s\n\n%s\n\n| %s |\n|%s\n", title, about, strings.Join(columns, " | "), strings.Repeat("---|", len(columns)))
}

// columns are one for each run, after the first ones.
func columns(all []Figures, first ...string) []string {
	for _, f := range all {
		first = append(first, f.Setup())
	}
	return first
}

func writeTimes(out *strings.Builder, all []Figures) {
	table(out, "Clusters at once", "A line a phase. All begin at once, or as many at a time as is said; a cluster's time is its own. What is longer than MAAS alone is counted for each machine, from the moment when its MaasMachine and its user data are there until it is provisioned, less the time in which MAAS composed, allocated and deployed it. A machine is gone when its MaasMachine is.",
		"clusters", "phase", "done", "all (min)", "one, median (min)", "one, most (min)", "machines made", "a VM longer than MAAS alone, median (s)", "– 95 %", "bare metal, median (s)", "– 95 %", "a machine gone after, median (s)", "– 95 %", "requests to MAAS a machine")
	for _, f := range all {
		for _, p := range f.Phases {
			fmt.Fprintf(out, "| %s | %s | %d | %.1f | %.1f | %.1f | %d | %s | %s | %s | %.1f |\n", f.Setup(), p.Name, p.Done, p.Time.Minutes(), p.Clusters.Median.Minutes(), p.Clusters.Most.Minutes(),
				p.Made, p.VMs.cells(), p.Metal.cells(), p.Gone.cells(), float64(p.Requests().Count)/float64(max(1, p.machines())))
		}
	}
}

// machines are those that a phase was about.
func (p Phase) machines() int { return max(p.Made, p.Removed) }

// cells are median and 95 %; dashes where nothing was counted.
func (s Spread) cells() string {
	if s.Count == 0 {
		return "– | –"
	}
	return fmt.Sprintf("%.1f | %.1f", s.Median.Seconds(), s.P95.Seconds())
}

func writeOperations(out *strings.Builder, all []Figures) {
	table(out, "Requests to MAAS a machine", "By the number of clusters: for each machine that is made by creating clusters, replaced by upgrading them, and removed by deleting them. Lists of machines are told apart by their filters. The last line is the time that MAAS itself takes for them (s).",
		columns(all, "operation, create / upgrade / delete")...)
	for _, name := range namesIn(all, func(p Phase) map[string]Requests { return p.Operations }) {
		fmt.Fprintf(out, "| `%s` |%s\n", name, perMachine(all, func(p Phase) float64 { return float64(p.Operations[name].Count) }))
	}
	for _, filters := range namesIn(all, func(p Phase) map[string]int { return p.Lists }) {
		fmt.Fprintf(out, "| `machines.list` by %s |%s\n", filters, perMachine(all, func(p Phase) float64 { return float64(p.Lists[filters]) }))
	}
	fmt.Fprintf(out, "| all |%s\n", perMachine(all, func(p Phase) float64 { return float64(p.Requests().Count) }))
	fmt.Fprintf(out, "| region time (s) |%s\n", perMachine(all, func(p Phase) float64 { return p.Requests().Region.Seconds() }))
}

// namesIn are those of which any phase counted something.
func namesIn[T any](all []Figures, counted func(Phase) map[string]T) []string {
	names := make(map[string]bool)
	for _, f := range all {
		for _, p := range f.Phases {
			for name := range counted(p) {
				names[name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// perMachine has a cell for each number of clusters, with a number for each phase.
func perMachine(all []Figures, value func(Phase) float64) string {
	var out strings.Builder
	for _, f := range all {
		var cells []string
		for _, name := range Phases() {
			p := f.Phase(name)
			cells = append(cells, fmt.Sprintf("%.2f", value(p)/float64(max(1, p.machines()))))
		}
		out.WriteString(" " + strings.Join(cells, " / ") + " |")
	}
	return out.String()
}

func writePrograms(out *strings.Builder, all []Figures) {
	table(out, "Programs", "By the number of clusters: seconds of a processor that a cluster's whole life took, and the most memory that the program has had in use (MiB). `manager` and `lxdprovisioner` are ours, `core`, `bootstrap` and `controlplane` Cluster API's.",
		columns(all, "program")...)
	for _, name := range namesIn(all, func(p Phase) map[string]Process { return p.Processes }) {
		fmt.Fprintf(out, "| %s |", name)
		for _, f := range all {
			used := f.Used(name)
			fmt.Fprintf(out, " %.1f s, %d |", used.CPU.Seconds()/float64(f.Clusters), used.Peak>>20)
		}
		out.WriteString("\n")
	}
	out.WriteString("| share of the computer's processors that all took together |")
	for _, f := range all {
		fmt.Fprintf(out, " %.0f %% of %d |", 100*f.Busy(), f.CPUs)
	}
	out.WriteString("\n")
}

func writeLimits(out *strings.Builder, all []Figures) {
	table(out, "What waits", "The longest queues of controllers, looked at every 5 s, of those of whom more than a tenth of the clusters were seen to wait, and the most requests that waited at MAAS's region.", columns(all, "queue")...)
	names := make(map[string]bool)
	for _, f := range all {
		for name, longest := range f.Queues() {
			if longest*10 > f.Clusters {
				names[name] = true
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		fmt.Fprintf(out, "| %s |", name)
		for _, f := range all {
			fmt.Fprintf(out, " %d |", f.Queues()[name])
		}
		out.WriteString("\n")
	}
	out.WriteString("| MAAS's region |")
	for _, f := range all {
		most := 0
		for _, p := range f.Phases {
			most = max(most, p.MostQueued)
		}
		fmt.Fprintf(out, " %d |", most)
	}
	out.WriteString("\n")
	for _, f := range all {
		if f.Broke != "" {
			fmt.Fprintf(out, "\nWith %s clusters: %s\n", f.Setup(), firstLine(f.Broke))
		}
	}
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
