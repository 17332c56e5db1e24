package maassim_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/maassim"
)

const (
	crowdHosts = 8
	crowdSize  = 64
)

// visitor is one of a crowd: it makes VMs of names that nobody else uses and does with them what comes.
type visitor struct {
	*maas
	n      int
	random *rand.Rand
	// refreshes lets it refresh hosts too, which may take away the name under which a compose is to end.
	refreshes bool
}

// expect fails the test unless the answer is one of those that a real MAAS may give here.
func (c *visitor) expect(a answer, wanted ...int) answer {
	assert.Contains(c.t, wanted, a.status, a.body)
	return a
}

func (c *visitor) work(rounds int) {
	for round := range rounds {
		host := c.random.IntN(crowdHosts) + 1
		a := c.post(fmt.Sprintf("vm-hosts/%d/?op=compose", host), fmt.Sprintf("hostname=vm-%d-%d&cores=1&memory=1024&skip_commissioning=%t", c.n, round, c.random.IntN(4) > 0))
		if c.expect(a, 200, 400).status == http.StatusOK {
			var vm struct {
				ID string `json:"system_id"`
			}
			if assert.NoError(c.t, json.Unmarshal([]byte(a.body), &vm)) {
				c.use(vm.ID)
			}
		} else {
			assert.True(c.t, c.refreshes, a.body)
		}
		c.look(host)
	}
}

// use claims a VM, or deploys it without, releases it, and deletes it three times of four, in whatever state that leaves it.
func (c *visitor) use(id string) {
	if c.random.IntN(2) == 0 {
		c.expect(c.post("machines/?op=allocate", "agent_name=crowd&system_id="+id), 200, 409)
		c.expect(c.post("machines/"+id+"/?op=set_workload_annotations", "who="+fmt.Sprint(c.n)), 200, 404, 409)
	}
	if c.random.IntN(4) > 0 {
		c.expect(c.post("machines/"+id+"/?op=deploy", ""), 200, 404, 409)
	}
	if c.random.IntN(3) > 0 {
		c.expect(c.post("machines/"+id+"/?op=release", ""), 200, 404, 409)
	}
	if c.random.IntN(4) > 0 {
		c.expect(c.delete("machines/"+id+"/"), 204, 404)
	}
}

func (c *visitor) look(host int) {
	queries := []string{
		"machines/?owner=admin&not_status=deployed", "machines/?agent_name=crowd", fmt.Sprintf("machines/?hostname=vm-%d-0", c.n),
		fmt.Sprintf("machines/?pod=lxd-%d", host), "vm-hosts/", fmt.Sprintf("vm-hosts/%d/", host), "machines/?status=ready",
		"subnets/1/?op=ip_addresses", "events/?op=query",
	}
	c.expect(c.get(queries[c.random.IntN(len(queries))]), 200)
	if c.random.IntN(8) == 0 {
		metal := c.post("machines/?op=allocate", "not_pod_type=lxd&not_pod_type=virsh&agent_name=crowd")
		if c.expect(metal, 200, 409).status == http.StatusOK {
			var taken struct {
				ID string `json:"system_id"`
			}
			if assert.NoError(c.t, json.Unmarshal([]byte(metal.body), &taken)) {
				c.expect(c.post("machines/"+taken.ID+"/?op=release", ""), 200)
			}
		}
	}
	if c.refreshes && c.random.IntN(4) == 0 {
		c.expect(c.post(fmt.Sprintf("vm-hosts/%d/?op=refresh", host), ""), 200, 409)
	}
}

func TestR4_6_many_clients_at_once_leave_LXD_and_MAAS_agreeing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name      string
		workers   int
		refreshes bool
	}{
		{"as_many_at_once_as_come", 0, false},
		{"two_workers", 2, false},
		{"with_refreshes", 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cfg := maassim.DefaultConfig(crowdHosts, 2, 4)
			for n := range cfg.Hosts {
				cfg.Hosts[n].Cores, cfg.Hosts[n].MemoryMiB = 1000, 1<<20
				cfg.Hosts[n].StoragePools[0].Total = 1e15
			}
			cfg.Workers = c.workers
			cfg.Durations = maassim.Durations{
				Compose: time.Millisecond, Refresh: time.Millisecond, Delete: time.Millisecond, Commission: 3 * time.Millisecond,
				Deploy: 2 * time.Millisecond, Release: time.Millisecond, Spread: 0.9,
			}
			m := start(t, cfg)
			var crowd sync.WaitGroup
			for n := range crowdSize {
				one := &visitor{maas: m, n: n, random: rand.New(rand.NewPCG(uint64(n), 6)), refreshes: c.refreshes}
				crowd.Go(func() { one.work(3) })
			}
			crowd.Wait()
			if c.refreshes { // what a refresh met half made, the next one puts right
				for n := range crowdHosts {
					require.Equal(t, http.StatusOK, m.post(fmt.Sprintf("vm-hosts/%d/?op=refresh", n+1), "").status)
				}
			}
			requireAgreement(t, m)
			l := m.Load()
			assert.Zero(t, l.Serving+l.Waiting)
			assert.Equal(t, c.workers > 0, l.MostQueued > 0)
			assert.LessOrEqual(t, l.MostServed, crowdSize)
		})
	}
}

// requireAgreement wants every VM of LXD to have its machine, every machine its VM, each address one holder, and the indexes to be right.
func requireAgreement(t *testing.T, m *maas) {
	t.Helper()
	type place struct{ host, name string }
	var instances, machines []place
	for _, i := range m.LXD() {
		instances = append(instances, place{i.Host, i.Name})
	}
	holders := map[string]string{}
	for _, v := range m.Machines() {
		if v.Host != "" {
			machines = append(machines, place{v.Host, v.Instance})
		}
		for _, ip := range v.IPs {
			require.Empty(t, holders[ip], "%s is held by %s too", ip, v.Hostname)
			holders[ip] = v.Hostname
		}
	}
	require.NotEmpty(t, instances)
	require.ElementsMatch(t, instances, machines)
	require.NoError(t, m.CheckRows())
}
