package placement_test

import (
	"cmp"
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/figures"
)

// section is where the figures are published.
var section = figures.Section{Document: "../../../../docs/performance.md", Name: "placement"}

var performance = flag.Bool("performance", false, "write the figures of docs/performance.md, from 10,000 instances of each kind")

// amount is from how much the figures are made.
type amount struct {
	instances, fleets, seeds int
	fleetSizes, planSizes    []int
	stopwatch                figures.Stopwatch
}

// TestPerformance_the_document_is_what_its_command_writes compares everything but the figures; with
// -performance it writes the document. It is not parallel: it counts allocations and takes times.
func TestPerformance_the_document_is_what_its_command_writes(t *testing.T) {
	if *performance {
		text := report(t, amount{instances: 10000, fleets: 300, seeds: 20, fleetSizes: fleetSizes, planSizes: planSizes, stopwatch: patient})
		require.NoError(t, section.Write(text))
		return
	}
	// As many rows as the command writes, of figures that cost little.
	small := amount{instances: 20, fleets: 1, fleetSizes: []int{10, 10, 10}, planSizes: []int{1, 1, 1, 1}, stopwatch: figures.Hasty(time.Now)}
	written, err := section.Text()
	require.NoError(t, err)
	assert.Equal(t, figures.Shape(report(t, small)), figures.Shape(written), "make performance writes it anew")
}

// report gives the text of all figures.
func report(t *testing.T, a amount) string {
	t.Helper()
	var out strings.Builder
	reportOptimum(t, &out, a)
	reportComparison(&out, a)
	reportReplicas(&out, a)
	reportSpeed(&out, a)
	return out.String()
}

func reportOptimum(t *testing.T, out *strings.Builder, a amount) {
	t.Helper()
	fmt.Fprintf(out, "\n### Distance from the optimum\n\n%s random instances of each kind: 2 to 6 hosts in 1 to 4 zones, many of them nearly full, and 3 to 9 VMs of one group. "+
		"On *plain* hosts over-commit ratios are 1 and there is one storage pool; *mixed* hosts may have ratios of 0.9 to 2 and a second, larger storage pool.\n\n", figures.Grouped(a.instances))
	fmt.Fprintf(out, "| | plain | mixed |\n|---|---|---|\n")
	planned := [2]distance{plans(t, a.instances, kinds[0]), plans(t, a.instances, kinds[1])}
	single := [2]distance{oneByOne(a.instances, kinds[0]), oneByOne(a.instances, kinds[1])}
	rows := []struct {
		name  string
		of    [2]distance
		value func(d distance) string
	}{
		{"plans (`DistributeAcrossZones`): instances with the optimum in everything", planned, func(d distance) string { return part(d.optimal, d.instances) }},
		{"one by one (`SelectHost`): VMs asked for", single, func(d distance) string { return figures.Grouped(d.asked) }},
		{"– VMs placed in the optimum", single, func(d distance) string { return figures.Grouped(d.best) }},
		{"– VMs placed by this service", single, func(d distance) string { return part(d.placed, d.best) }},
		{"– instances with fewer VMs than in the optimum", single, func(d distance) string { return part(d.fewer, d.instances) }},
		{"– most VMs that one of these lacks", single, func(d distance) string { return figures.Grouped(d.mostFewer) }},
		{"– of the other instances: zones less even than in the optimum", single, func(d distance) string { return part(d.uneven, d.same) }},
		{"– – zones as even, hosts of the group less spread", single, func(d distance) string { return part(d.unspread, d.same) }},
		{"– – all that as good: how much fuller the fullest host is, mean / most (percentage points)", single, func(d distance) string {
			return fmt.Sprintf("%.1f / %.1f", 100*d.excess/float64(max(d.shares, 1)), 100*d.mostExcess)
		}},
		{"– instances with the optimum in everything", single, func(d distance) string { return part(d.optimal, d.instances) }},
	}
	for _, row := range rows {
		fmt.Fprintf(out, "| %s | %s | %s |\n", row.name, row.value(row.of[0]), row.value(row.of[1]))
	}
}

func reportComparison(out *strings.Builder, a amount) {
	fmt.Fprintf(out, "\n### Compared with other rules\n\nThe same instances for every rule; the VMs are asked for one after the other.\n")
	for _, k := range kinds {
		results := compare(a.instances, k, smallInstance)
		fmt.Fprintf(out, "\nSmall instances as above, %s hosts, %s VMs:\n\n", k.name, figures.Grouped(results[0].asked))
		reportRules(out, results)
	}
	for _, k := range kinds {
		results := compare(a.fleets, k, fleetInstance)
		fmt.Fprintf(out, "\n%s fleets of 12 to 60 %s hosts in three zones, control planes of 3 or 5 VMs that ask for three quarters of the free cores, %s VMs:\n\n",
			figures.Grouped(a.fleets), k.name, figures.Grouped(results[0].asked))
		reportRules(out, results)
	}
}

func reportRules(out *strings.Builder, results []comparison) {
	fmt.Fprintf(out, "| rule | placed | not placed though a host had room | – of these refused by MAAS on the chosen host | placed though a zone with fewer of the group had room | "+
		"zone difference of a group, mean / most | VMs of a group on one host, mean / most | standard deviation of the hosts' load |\n|---|---|---|---|---|---|---|---|\n")
	for _, c := range results {
		fmt.Fprintf(out, "| %s | %s | %s | %s | %s | %.2f / %.0f | %.2f / %.0f | %.3f |\n", c.rule, part(c.placed, c.asked), part(c.missed, c.asked), figures.Grouped(c.refused),
			part(c.crowded, c.placed), c.zones.mean(), c.zones.most, c.together.mean(), c.together.most, c.spread.mean())
	}
}

func reportReplicas(out *strings.Builder, a amount) {
	fmt.Fprintf(out, "\n### Several replicas\n\n%d bursts of %d VMs of %d cores in groups of %d, asked for within %.0f s of three replicas at random, on %d hosts in three zones of which nine tenths are used in the end. "+
		"An inventory is up to %.0f s old, a composition takes about %.0f s, and MAAS counts a VM only when it is made.\n\n", a.seeds, burstVMs, burstCores, burstGroup, burstSeconds, burstHosts, snapshotAge, composeTime)
	fmt.Fprintf(out, "| what replicas do | attempts a VM | yielded before the claim | VMs over the limit of their host | VMs in a zone with another of their group while a zone is free | seconds to a VM | standard deviation of the hosts' load |\n|---|---|---|---|---|---|---|\n")
	for _, rule := range burstRules {
		r := bursts(rule, a.seeds)
		fmt.Fprintf(out, "| %s | %.2f | %s | %s | %s | %.1f | %.3f |\n", rule.name, float64(r.attempts)/float64(max(a.seeds, 1)*burstVMs), figures.Grouped(r.yielded),
			part(r.over, a.seeds*burstVMs), part(r.sharing, a.seeds*burstVMs), r.seconds, r.spread)
	}
}

// reportSpeed writes ratios: times say little about another machine, or about this one when it is busy.
func reportSpeed(out *strings.Builder, a amount) {
	fmt.Fprintf(out, "\n### Speed\n\nRatios of time compare with the first line of their column, measured in the same run, each the best of %d rounds. "+
		"A plain request has no group and no ledger, a busy one has two peers and 30 entries of the ledger. Where no two hosts are alike, each has tags, bridges and storage pools of its own, "+
		"and the request is a busy one. `make bench BENCH=Place` shows the times of the machine at hand.\n\n", patient.Rounds)
	fmt.Fprintf(out, "| hosts |")
	for _, kind := range placeKinds {
		fmt.Fprintf(out, " %s: time | allocations | index of a reading: choices that cost as much |", kind.name)
	}
	fmt.Fprintf(out, "\n|---|%s\n", strings.Repeat("---|---|---|", len(placeKinds)))
	base := make([]time.Duration, len(placeKinds))
	for _, hosts := range a.fleetSizes {
		fmt.Fprintf(out, "| %s |", figures.Grouped(hosts))
		for i, kind := range placeKinds {
			call := kind.placing(hosts)
			took, index := a.stopwatch.PerCall(call), a.stopwatch.PerCall(kind.indexing(hosts))
			base[i] = cmp.Or(base[i], took)
			fmt.Fprintf(out, " %.1f | %.0f | %.0f |", ratio(took, base[i]), testing.AllocsPerRun(5, call), ratio(index, took))
		}
		fmt.Fprintln(out)
	}
	fmt.Fprintf(out, "\n| VMs of a plan over 1,000 hosts | time |\n|---|---|\n")
	var first time.Duration
	for _, n := range a.planSizes {
		took := a.stopwatch.PerCall(planning(n))
		first = cmp.Or(first, took)
		fmt.Fprintf(out, "| %s | %.1f |\n", figures.Grouped(n), ratio(took, first))
	}
	fmt.Fprintln(out)
}

func ratio(took, base time.Duration) float64 { return float64(took) / float64(base) }

// part words a number and what part of a whole it is.
func part(n, of int) string {
	return fmt.Sprintf("%s (%.1f %%)", figures.Grouped(n), 100*float64(n)/float64(max(of, 1)))
}
