package maassim_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/maassim"
)

// site is a simulated MAAS of some size, called without a network between.
type site struct {
	sim *maassim.Sim
	ids []string // of the VMs
}

// The sizes that are compared: what a simulator must hold, and one where even a full scan is cheap.
var (
	bigSite   = sync.OnceValue(func() *site { return newSite(2000, 8000) })
	smallSite = sync.OnceValue(func() *site { return newSite(20, 80) })
)

// newSite makes hosts, each with a machine of its own, and VMs on them that are all Deployed but for the last ten.
func newSite(hosts, vms int) *site {
	cfg := maassim.DefaultConfig(hosts, 4, 0)
	for n := range cfg.Hosts {
		cfg.Hosts[n].Bridges = cfg.Hosts[n].Bridges[:1] // one NIC a host is enough for what is measured
	}
	sim, err := maassim.New(cfg)
	if err != nil {
		panic(err)
	}
	s := &site{sim: sim}
	for n := range vms {
		s.must(http.MethodPost, fmt.Sprintf("vm-hosts/%d/?op=compose", n%hosts+1), fmt.Sprintf("hostname=vm-%d&cores=2&memory=2048&skip_commissioning=true", n))
		m, _ := sim.Machine(fmt.Sprintf("vm-%d", n))
		s.ids = append(s.ids, m.SystemID)
		if n < vms-10 {
			s.must(http.MethodPost, "machines/"+m.SystemID+"/?op=deploy", "agent_name=cluster-"+fmt.Sprint(n/50))
		}
	}
	return s
}

// call sends one signed request and returns the size of the answer.
func (s *site) call(method, path, body string) (status, size int) {
	req := httptest.NewRequestWithContext(context.Background(), method, "/MAAS/api/2.0/"+path, strings.NewReader(body))
	req.Header.Set("Authorization", sign(s.sim.APIKey()))
	if body != "" {
		req.Header.Set("Content-Type", form)
	}
	answer := httptest.NewRecorder()
	s.sim.ServeHTTP(answer, req)
	return answer.Code, answer.Body.Len()
}

func (s *site) must(method, path, body string) int {
	status, size := s.call(method, path, body)
	if status >= 300 {
		panic(fmt.Sprint(method, " ", path, ": ", status))
	}
	return size
}

// byID is a list of so many machines from the middle of the site.
func (s *site) byID(n int, more string) string {
	at := (len(s.ids) - n) / 2
	return "machines/?id=" + strings.Join(s.ids[at:at+n], "&id=") + more
}

// lists are reads whose answers are as big on the small site as on the big one.
var lists = []struct {
	name string
	path func(*site) string
}{
	{"one_by_id", func(s *site) string { return s.byID(1, "") }},
	{"50_by_id", func(s *site) string { return s.byID(50, "") }},
	{"30_by_id_not_deployed", func(s *site) string { return s.byID(30, "&not_status=deployed") }},
	{"ours_not_deployed", func(*site) string { return "machines/?owner=admin&not_status=deployed" }},
	{"ready_by_status", func(*site) string { return "machines/?status=ready" }},
	{"read_a_machine", func(s *site) string { return "machines/" + s.ids[len(s.ids)/2] + "/" }},
	{"by_hostname", func(s *site) string { return fmt.Sprintf("machines/?hostname=vm-%d", len(s.ids)/2) }},
	{"by_agent_name", func(*site) string { return "machines/?agent_name=cluster-0" }},
	{"by_host", func(*site) string { return "machines/?pod=lxd-7" }},
	{"read_a_host", func(*site) string { return "vm-hosts/7/" }},
}

func BenchmarkR4_6_lists_at_10000_machines_and_2000_hosts(b *testing.B) {
	for _, l := range lists {
		b.Run(l.name, func(b *testing.B) { compare(b, func(s *site) { s.must(http.MethodGet, l.path(s), "") }) })
	}
	b.Run("400_by_id_not_deployed", func(b *testing.B) {
		s := bigSite()
		measure(b, func() { s.must(http.MethodGet, s.byID(400, "&not_status=deployed"), "") })
	})
	b.Run("400_by_id", func(b *testing.B) {
		s := bigSite()
		measure(b, func() { s.must(http.MethodGet, s.byID(400, ""), "") })
	})
	b.Run("all_2000_hosts", func(b *testing.B) {
		s := bigSite()
		measure(b, func() { s.must(http.MethodGet, "vm-hosts/", "") })
	})
	b.Run("all_10000_machines", func(b *testing.B) {
		s := bigSite()
		measure(b, func() { s.must(http.MethodGet, "machines/", "") })
	})
}

func BenchmarkR4_6_changes_at_10000_machines_and_2000_hosts(b *testing.B) {
	b.Run("compose_and_delete", func(b *testing.B) {
		compare(b, func(s *site) {
			s.must(http.MethodPost, "vm-hosts/7/?op=compose", "hostname=extra&cores=2&memory=2048&skip_commissioning=true")
			m, _ := s.sim.Machine("extra")
			s.must(http.MethodDelete, "machines/"+m.SystemID+"/", "")
		})
	})
	b.Run("compose_deploy_release_and_delete", func(b *testing.B) {
		compare(b, func(s *site) {
			s.must(http.MethodPost, "vm-hosts/7/?op=compose", "hostname=extra&cores=2&memory=2048&skip_commissioning=true")
			m, _ := s.sim.Machine("extra")
			for _, op := range []string{"deploy", "release"} {
				s.must(http.MethodPost, "machines/"+m.SystemID+"/?op="+op, "agent_name=extra")
			}
			s.must(http.MethodDelete, "machines/"+m.SystemID+"/", "")
		})
	})
	b.Run("refresh_a_host", func(b *testing.B) {
		compare(b, func(s *site) { s.must(http.MethodPost, "vm-hosts/7/?op=refresh", "a=b") })
	})
}

func measure(b *testing.B, call func()) {
	b.Helper()
	b.ReportAllocs()
	for b.Loop() {
		call()
	}
}

// compare measures a call on the big site and reports how many times longer it takes there than on one of 100 machines. The two take turns, so that
// whatever else the computer does slows both down.
func compare(b *testing.B, call func(*site)) {
	b.Helper()
	big, small := bigSite(), smallSite()
	var onBig, onSmall time.Duration
	b.ReportAllocs()
	for b.Loop() {
		began := time.Now()
		call(big)
		onBig += time.Since(began)
		b.StopTimer()
		began = time.Now()
		call(small)
		onSmall += time.Since(began)
		b.StartTimer()
	}
	b.ReportMetric(float64(onBig)/float64(onSmall), "x-of-100-machines")
}

func TestR4_6_indexed_lists_look_at_as_many_rows_however_many_there_are(t *testing.T) {
	t.Parallel()
	small, large := newSite(20, 80), newSite(200, 800)
	for _, l := range lists {
		if l.name == "by_host" {
			continue // its answer grows with the machines of the host
		}
		rows := func(s *site) int {
			before := s.sim.Load().RowsVisited
			s.must(http.MethodGet, l.path(s), "")
			return s.sim.Load().RowsVisited - before
		}
		few, many := rows(small), rows(large)
		require.Equal(t, few, many, l.name)
		require.Positive(t, many, l.name)
	}
	before := large.sim.Load().RowsVisited
	large.must(http.MethodGet, "machines/", "")
	require.GreaterOrEqual(t, large.sim.Load().RowsVisited-before, 1000, "a list of everything looks at everything")
}

func TestR4_6_a_change_looks_at_the_rows_that_it_is_about(t *testing.T) {
	t.Parallel()
	small, large := newSite(20, 80), newSite(200, 800)
	rows := func(s *site) int {
		before := s.sim.Load().RowsVisited
		s.must(http.MethodPost, "vm-hosts/7/?op=compose", "hostname=extra&cores=2&memory=2048&skip_commissioning=true")
		m, _ := s.sim.Machine("extra")
		s.must(http.MethodPost, "machines/?op=allocate", "system_id="+m.SystemID)
		for _, op := range []string{"deploy", "release"} {
			s.must(http.MethodPost, "machines/"+m.SystemID+"/?op="+op, "agent_name=extra")
		}
		s.must(http.MethodPost, "vm-hosts/7/?op=refresh", "a=b")
		s.must(http.MethodDelete, "machines/"+m.SystemID+"/", "")
		return s.sim.Load().RowsVisited - before
	}
	require.Equal(t, rows(small), rows(large))
	require.NoError(t, large.sim.CheckRows())
}
