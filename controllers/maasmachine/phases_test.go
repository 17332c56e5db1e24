package maasmachine_test

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/controllers/maasmachine"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

const (
	commissioning = lxdprovisionerv1.MachineState_MACHINE_STATE_COMMISSIONING
	deploying     = lxdprovisionerv1.MachineState_MACHINE_STATE_DEPLOYING
)

// visit is a reconcile so many seconds after the first.
type visit struct {
	at   int
	seen maasmachine.Seen
}

// start is when the first reconcile is; sent gives the time of a composition so many seconds later.
var start = time.Unix(1_800_000_000, 0)

func sent(after int) time.Time { return start.Add(time.Duration(after) * time.Second) }

// observed are the durations that were counted, each phase's as a sum of seconds and how often.
type observed map[string][2]float64

// gathered reads the histogram, and in which phase of the mode how many machines are.
func gathered(t *testing.T, census maasmachine.Census, mode infrav1.ProvisioningMode) (durations observed, machines map[string]float64) {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	require.NoError(t, registry.Register(census))
	families, err := registry.Gather()
	require.NoError(t, err)
	durations, machines = observed{}, map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			switch {
			case labels["mode"] != string(mode):
			case family.GetName() == "capmaas_machine_phase_seconds":
				durations[labels["phase"]] = [2]float64{m.GetHistogram().GetSampleSum(), float64(m.GetHistogram().GetSampleCount())}
			case family.GetName() == "capmaas_machines" && m.GetGauge().GetValue() > 0:
				machines[labels["phase"]] = m.GetGauge().GetValue()
			}
		}
	}
	return durations, machines
}

func TestPhaseSeconds_counts_each_phase_when_a_machine_leaves_it(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		mode   infrav1.ProvisioningMode
		visits []visit
		want   observed
		// at is the phase in which the machine is in the end; empty where it is gone.
		at string
	}{
		"a_VM_from_its_first_reconcile_to_its_end": {
			infrav1.ModeLXD,
			[]visit{
				{0, maasmachine.Seen{Stage: "waiting"}},
				{10, maasmachine.Seen{Stage: "host"}},
				{12, maasmachine.Seen{Stage: "compose", SentAt: sent(12)}},
				{42, maasmachine.Seen{Stage: "compose", SentAt: sent(12), State: commissioning}},
				{102, maasmachine.Seen{Stage: "deploy", State: deploying}},
				{702, maasmachine.Seen{Stage: "running"}},
				{9000, maasmachine.Seen{Stage: "deleting"}},
				{9030, maasmachine.Seen{Stage: "gone"}},
			},
			// That of waiting began before this process saw it.
			observed{"placing": {2, 1}, "composing": {30, 1}, "commissioning": {60, 1}, "deploying": {600, 1}, "deleting": {30, 1}},
			"",
		},
		"a_physical_machine_that_runs_is_not_counted_yet": {
			infrav1.ModeBareMetal,
			[]visit{
				{0, maasmachine.Seen{Stage: "waiting"}},
				{5, maasmachine.Seen{Stage: "compose"}},
				{8, maasmachine.Seen{Stage: "deploy", State: deploying}},
				{608, maasmachine.Seen{Stage: "running"}},
			},
			observed{"allocating": {3, 1}, "deploying": {600, 1}},
			"running",
		},
		"a_VM_that_is_composed_within_one_reconcile": {
			infrav1.ModeLXD,
			[]visit{
				{0, maasmachine.Seen{Stage: "waiting"}},
				{4, maasmachine.Seen{Stage: "host"}},
				{25, maasmachine.Seen{Stage: "deploy", SentAt: sent(5), State: deploying}},
			},
			observed{"placing": {1, 1}, "composing": {20, 1}},
			"deploying",
		},
		"a_composition_that_began_before_this_process": {
			infrav1.ModeLXD,
			[]visit{
				{0, maasmachine.Seen{Stage: "compose", SentAt: sent(-50)}},
				{10, maasmachine.Seen{Stage: "deploy", State: deploying}},
			},
			observed{"composing": {60, 1}},
			"deploying",
		},
		"a_phase_whose_beginning_nobody_knows": {
			infrav1.ModeLXD,
			[]visit{
				{0, maasmachine.Seen{Stage: "deploy", State: deploying}},
				{60, maasmachine.Seen{Stage: "running"}},
			},
			observed{},
			"running",
		},
		"reconciles_that_come_to_the_same_or_learn_nothing": {
			infrav1.ModeLXD,
			[]visit{
				{0, maasmachine.Seen{Stage: "waiting"}},
				{10, maasmachine.Seen{Stage: "host"}},
				{20, maasmachine.Seen{Stage: "host"}},
				{30, maasmachine.Seen{Stage: "running", Nothing: true}},
				{40, maasmachine.Seen{Stage: "compose", SentAt: sent(40)}},
			},
			observed{"placing": {30, 1}},
			"composing",
		},
		"a_VM_of_which_nothing_is_heard_stays_where_it_was": {
			infrav1.ModeLXD,
			[]visit{
				{0, maasmachine.Seen{Stage: "waiting"}},
				{10, maasmachine.Seen{Stage: "compose", State: commissioning}},
				{20, maasmachine.Seen{Stage: "deploy"}},
				{70, maasmachine.Seen{Stage: "deploy", State: deploying}},
			},
			observed{"commissioning": {60, 1}},
			"deploying",
		},
		"a_placement_that_goes_back_after_a_refusal": {
			infrav1.ModeLXD,
			[]visit{
				{0, maasmachine.Seen{Stage: "waiting"}},
				{1, maasmachine.Seen{Stage: "host"}},
				{3, maasmachine.Seen{Stage: "compose", SentAt: sent(3)}},
				{7, maasmachine.Seen{Stage: "host"}},
				{8, maasmachine.Seen{Stage: "compose", SentAt: sent(8)}},
				{18, maasmachine.Seen{Stage: "deploy", State: deploying}},
			},
			observed{"placing": {2 + 1, 2}, "composing": {4 + 10, 2}},
			"deploying",
		},
		"a_stored_time_of_a_clock_that_is_ahead": {
			infrav1.ModeLXD,
			[]visit{
				{0, maasmachine.Seen{Stage: "compose", SentAt: sent(30)}},
				{10, maasmachine.Seen{Stage: "deploy", State: deploying}},
			},
			observed{"composing": {0, 1}},
			"deploying",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			census, m := maasmachine.NewCensus(), phased("one", tc.mode)
			for _, v := range tc.visits {
				census.See(m, v.seen, sent(v.at))
			}
			durations, machines := gathered(t, census, tc.mode)
			assert.Equal(t, tc.want, durations)
			if tc.at == "" {
				assert.Empty(t, machines)
				return
			}
			assert.Equal(t, map[string]float64{tc.at: 1}, machines)
		})
	}
}

func TestPhaseSeconds_are_of_one_object_and_not_of_the_next_of_its_name(t *testing.T) {
	t.Parallel()
	census, first, second := maasmachine.NewCensus(), phased("one", infrav1.ModeLXD), phased("one", infrav1.ModeLXD)
	second.UID = "another"
	census.See(first, maasmachine.Seen{Stage: "waiting"}, sent(0))
	census.See(first, maasmachine.Seen{Stage: "host"}, sent(10))
	census.See(second, maasmachine.Seen{Stage: "waiting"}, sent(100))
	census.See(second, maasmachine.Seen{Stage: "host"}, sent(110))
	durations, machines := gathered(t, census, infrav1.ModeLXD)
	assert.Empty(t, durations, "nobody saw the first leave its phase, nor the second come into one")
	assert.Equal(t, map[string]float64{"placing": 1}, machines)
}

func TestPhaseSeconds_of_a_paused_machine_count_only_what_follows(t *testing.T) {
	t.Parallel()
	census, m := maasmachine.NewCensus(), phased("one", infrav1.ModeLXD)
	census.See(m, maasmachine.Seen{Stage: "waiting"}, sent(0))
	census.See(m, maasmachine.Seen{Stage: "host"}, sent(1))
	census.Forget(client.ObjectKeyFromObject(m))
	_, machines := gathered(t, census, infrav1.ModeLXD)
	assert.Empty(t, machines)
	census.See(m, maasmachine.Seen{Stage: "host"}, sent(5000))
	census.See(m, maasmachine.Seen{Stage: "compose", SentAt: sent(5001)}, sent(5001))
	census.See(m, maasmachine.Seen{Stage: "deploy", State: deploying}, sent(5011))
	durations, _ := gathered(t, census, infrav1.ModeLXD)
	assert.Equal(t, observed{"composing": {10, 1}}, durations)
}

// phased is a machine of the mode.
func phased(name string, mode infrav1.ProvisioningMode) *infrav1.MaasMachine {
	return &infrav1.MaasMachine{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: "uid"},
		Spec:       infrav1.MaasMachineSpec{ProvisioningMode: mode},
	}
}
