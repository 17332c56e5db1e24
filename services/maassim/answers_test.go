package maassim_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/maassim"
)

func TestAnswers_do_not_change_while_they_are_written(t *testing.T) {
	t.Parallel()
	cfg := maassim.DefaultConfig(1, 1, 0)
	cfg.Cost = maassim.CostModel{"vm-hosts.read": {Call: time.Second}, "machines.read": {Call: time.Second}}
	m, clock := byHand(t, cfg)
	for _, tag := range []string{"gold", "silver"} {
		require.Equal(t, http.StatusOK, m.post("vm-hosts/1/?op=add_tag", "tag="+tag).status)
	}
	id := m.compose("vm-0", "")
	for path, change := range map[string]struct {
		field string
		call  func() answer
	}{
		"vm-hosts/1/":          {"tags", func() answer { return m.post("vm-hosts/1/?op=remove_tag", "tag=gold") }},
		"machines/" + id + "/": {"tag_names", func() answer { return m.delete("tags/gold/") }},
	} {
		read := behind(func() answer { return m.get(path) })
		require.NoError(t, clock.AwaitWaiting(bounded(t), 1), "it was read and is not written")
		require.Less(t, change.call().status, 300)
		clock.Advance(time.Second)
		assert.Equal(t, []any{"pod-console-logging", "gold", "silver"}, (<-read).object(t)[change.field], path)
	}
}

// visited is how many rows a call looks at.
func (m *maas) visited(call func() answer) int {
	m.t.Helper()
	before := m.Load().RowsVisited
	a := call()
	require.Less(m.t, a.status, 300, a.body)
	return m.Load().RowsVisited - before
}

func TestR4_6_calls_about_many_machines_look_at_each_a_few_times(t *testing.T) {
	t.Parallel()
	const many = 60
	m := start(t, maassim.DefaultConfig(1, 1, many))
	ids := make([]string, many)
	for n := range ids {
		vm, _ := m.Machine(fmt.Sprintf("metal-%d", n+1))
		ids[n] = vm.SystemID
	}
	repeat := func(name string) string { return name + strings.Join(ids, "&"+name) }
	require.Equal(t, http.StatusOK, m.post("tags/", "name=gold").status)
	for name, call := range map[string]func() answer{
		"release":          func() answer { return m.post("machines/?op=release", repeat("machines=")) },
		"update_nodes":     func() answer { return m.post("tags/gold/?op=update_nodes", repeat("add=")) },
		"power_parameters": func() answer { return m.get("machines/?op=power_parameters&" + repeat("id=")) },
	} {
		assert.LessOrEqual(t, m.visited(call), 3*many, name)
	}
}

func TestR4_6_a_query_of_events_looks_at_each_once(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(1, 1, 1))
	metal, _ := m.Machine("metal-1")
	for range 20 {
		m.claim(metal.SystemID, "a")
		require.Equal(t, http.StatusOK, m.post("machines/"+metal.SystemID+"/?op=release", "").status)
	}
	events := m.get("events/?op=query&limit=1000&level=AUDIT").object(t)["events"].([]any)
	require.GreaterOrEqual(t, len(events), 40)
	for _, query := range []string{"", "&level=ERROR&agent_name=x"} {
		assert.LessOrEqual(t, m.visited(func() answer { return m.get("events/?op=query&limit=1000" + query) }), len(events)+1, query)
	}
	assert.LessOrEqual(t, m.visited(func() answer { return m.get("events/?op=query&limit=1000&agent_name=x") }), 2*len(events)+1,
		"the machine of each, and nothing else")
}

func TestStage_a_hold_is_about_a_host_by_the_paths_of_hosts_alone(t *testing.T) {
	t.Parallel()
	m := start(t, maassim.DefaultConfig(1, 1, 0))
	m.Hold("resourcepools.read", "lxd-1")
	require.Equal(t, http.StatusOK, m.post("resourcepools/", "name=one").status)
	passed := behind(func() answer { return m.get("resourcepool/1/") })
	select {
	case a := <-passed:
		require.Equal(t, http.StatusOK, a.status)
	case <-bounded(t).Done():
		t.Fatal("pool 1 is not VM host 1")
	}
	letGo := m.hold("vm-hosts.read", "lxd-1", func() answer { return m.get("vm-hosts/1/") })
	require.Equal(t, http.StatusOK, letGo().status)
}
