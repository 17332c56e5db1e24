package load

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// String is a page's worth of figures: a line a phase, then what each operation of a life took.
func (f Figures) String() string {
	var out strings.Builder
	fmt.Fprintf(&out, "%d machines on %d hosts: %.1f requests a life\n", f.Machines, f.Hosts, f.PerMachine())
	out.WriteString(f.Creating.line("creating") + f.Deleting.line("deleting"))
	for _, name := range f.Life().names() {
		fmt.Fprintf(&out, "  %-34s %5d to create, %5d to delete\n", name, f.Creating.Operations[name].Requests, f.Deleting.Operations[name].Requests)
	}
	return out.String()
}

// String tells of a fleet that does not change.
func (r Rest) String() string {
	return fmt.Sprintf("%d machines on %d hosts: a failure is seen after %s at most\n", r.Machines, r.Hosts, r.Seen.Round(time.Second)) +
		r.Idle.line("idle") + r.Waiting.line("waiting")
}

func (u Usage) line(phase string) string {
	rate := u.PerMinute()
	return fmt.Sprintf("%-9s %8s: %5d requests; a minute %6.1f requests, %6.2f s of region time, %6.2f MB\n", phase,
		u.Time.Round(time.Second), u.Total().Requests, rate.Requests, rate.Region.Seconds(), rate.Bytes/1e6)
}

// String tells of the memory.
func (m Memory) String() string {
	return fmt.Sprintf("%d machines: service %d MiB, manager %d MiB", m.Machines, m.Service>>20, m.Manager>>20)
}

// String tells of the times.
func (a Added) String() string {
	return fmt.Sprintf("%d machines: MAAS alone %s, provided %s: %.1f %% added", a.Machines, a.Alone.Round(time.Second), a.Provided.Round(time.Second), 100*a.Share())
}

// String tells of the outage.
func (o Outage) String() string {
	return fmt.Sprintf("%d machines: most requests in %s: %d while they were made, %d while MAAS was away, %d after it; %d at a time; %d let go early, %d said to be missing, %d VMs",
		o.Machines, window, o.Working, o.Down, o.Back, o.Concurrent, o.DroppedEarly, o.MissedWrongly, o.VMs)
}

// Document is the section of docs/performance.md.
func (r Run) Document() string {
	var out strings.Builder
	for _, part := range []func(*strings.Builder){r.lives, r.operations, r.rest, r.added, r.memory, r.outages} {
		out.WriteString("\n")
		part(&out)
	}
	out.WriteString("\n")
	return out.String()
}

func table(out *strings.Builder, title, about string, columns ...string) {
	fmt.Fprintf(out, "### %s\n\n%s\n\n| %s |\n|%s\n", title, about, strings.Join(columns, " | "), strings.Repeat("---|", len(columns)))
}

func (r Run) lives(out *strings.Builder) {
	table(out, "A VM's life", fmt.Sprintf("All machines are made at once and deleted at once. Budget for %d at once: %d requests, with a fixed address %d.", at, LifeBudget, StaticLifeBudget),
		"machines", "hosts", "speed of MAAS's time", "requests a life", "– of these about this VM alone", "region time a life (s)", "kB a life")
	for _, f := range r.Lives {
		total, n := f.Life().Total(), float64(f.Machines)
		name := grouped(f.Machines)
		if f.StaticIP {
			name += ", fixed addresses"
		}
		fmt.Fprintf(out, "| %s | %s | %.0f | %.2f | %.2f | %.2f | %.0f |\n", name, grouped(f.Hosts), f.Speed, f.PerMachine(), float64(f.Own())/n, total.Region.Seconds()/n, float64(total.Bytes)/1e3/n)
	}
}

// operations has a column for each number of machines.
func (r Run) operations(out *strings.Builder) {
	columns := []string{"operation"}
	all := map[string]bool{}
	for _, f := range r.Lives {
		name := grouped(f.Machines)
		if f.StaticIP {
			name += ", fixed addresses"
		}
		columns = append(columns, name)
		for operation := range f.Life().Operations {
			all[operation] = true
		}
	}
	table(out, "Requests of a life by operation", "What is shared is counted at its share; what is asked regardless of machines, such as whether MAAS answers, too.", columns...)
	for _, operation := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(out, "| `%s` |", operation)
		for _, f := range r.Lives {
			fmt.Fprintf(out, " %.2f |", float64(f.Life().Operations[operation].Requests)/float64(f.Machines))
		}
		out.WriteString("\n")
	}
}

func (r Run) rest(out *strings.Builder) {
	table(out, "Waiting and idle", fmt.Sprintf("A minute in which all machines are Deploying and none moves, and one in which all are ready. Budget for 1,000: waiting %d requests and %.0f s of region time; idle %d requests, %.0f s and %.0f MB, with a failure seen within %.0f minutes.",
		WaitingRequests, WaitingRegion.Seconds(), IdleRequests, IdleRegion.Seconds(), IdleBytes/1e6, SeenBudget.Minutes()),
		"machines", "waiting: requests", "region time (s)", "MB", "idle: requests", "region time (s)", "MB", "a failure is seen after at most (s)")
	for _, f := range r.Rest {
		fmt.Fprintf(out, "| %s | %s | %s | %.0f |\n", grouped(f.Machines), f.Waiting.cells(), f.Idle.cells(), f.Seen.Seconds())
	}
}

// cells are the usage of a minute: requests, region time, bytes. Dashes where none was measured.
func (u Usage) cells() string {
	if u.Time == 0 {
		return "– | – | –"
	}
	rate := u.PerMinute()
	return fmt.Sprintf("%.1f | %.2f | %.2f", rate.Requests, rate.Region.Seconds(), rate.Bytes/1e6)
}

func (r Run) added(out *strings.Builder) {
	table(out, "Time added", fmt.Sprintf("MAAS alone is a client that composes, claims and deploys each VM as soon as the same limits of concurrency let it, asks nothing else, and runs beside. Budget: %.0f %%.", 100*AddedBudget),
		"machines at once", "until the last is ready, compared with MAAS alone")
	for _, a := range r.Added {
		fmt.Fprintf(out, "| %s | %+.1f %% |\n", grouped(a.Machines), 100*a.Share())
	}
}

func (r Run) memory(out *strings.Builder) {
	table(out, "Memory", fmt.Sprintf("The most that the two programs have had in use, from their start until all machines are Deploying and a minute longer. Budget for 1,000: %d MiB together.", MemoryBudget>>20),
		"machines", "service (MiB)", "manager (MiB)", "together (MiB)")
	for _, m := range r.Memory {
		fmt.Fprintf(out, "| %s | %d | %d | %d |\n", grouped(m.Machines), m.Service>>20, m.Manager>>20, m.Both()>>20)
	}
}

func (r Run) outages(out *strings.Builder) {
	table(out, "MAAS away", fmt.Sprintf("MAAS breaks every connection for %.0f minutes. When it goes a tenth of the machines is ready and then deleted, a tenth is made then, and a tenth waits for its deployment; the rest is ready. The limits let %d requests run at a time.", downFor.Minutes(), AtOnce),
		"machines", "most requests in 10 s while the machines are made", "– while MAAS is away", "– after it is back", "most at a time", "finalizers gone while it was away", "ever said to be missing")
	for _, o := range r.Outage {
		fmt.Fprintf(out, "| %s | %d | %d | %d | %d | %d | %d |\n", grouped(o.Machines), o.Working, o.Down, o.Back, o.Concurrent, o.DroppedEarly, o.MissedWrongly)
	}
}

// grouped words a number with a comma before every three digits.
func grouped(n int) string {
	digits := fmt.Sprint(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
