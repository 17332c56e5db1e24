package app_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
	"github.com/capmaas/capmaas/services/lxdprovisioner/app"
)

// headless is a headless Service as its DNS name tells of it.
type headless struct {
	mu   sync.Mutex
	pods []netip.Addr
	err  error
}

func (h *headless) resolve(_ context.Context, _, name string) ([]netip.Addr, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if name != "replicas.test" {
		return nil, fmt.Errorf("no such host %q", name)
	}
	return slices.Clone(h.pods), h.err
}

func (h *headless) fail(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.err = err
}

// startReplica runs the service as the pod of that address.
func (r *region) startReplica(t *testing.T, pod string, names *headless) *service {
	t.Helper()
	return r.start(t, func(c *app.Config) {
		env := c.Getenv
		c.Getenv = func(name string) string {
			if name == "POD_IP" {
				return pod
			}
			return env(name)
		}
		c.Peers, c.Resolve, c.PeersInterval = "replicas.test", names.resolve, 5*time.Millisecond
	})
}

// hostsOf gives the hosts that the service chooses for many VMs, none of which it is then to make.
func hostsOf(t *testing.T, s *service) []string {
	t.Helper()
	hosts := map[string]bool{}
	for i := range 60 {
		answer, err := lxdprovisionerv1.NewLXDProvisionerClient(s.conn).SelectHost(t.Context(), &lxdprovisionerv1.SelectHostRequest{
			VmName: fmt.Sprintf("w-%d", i), Resources: compose("").GetResources(), DryRun: true,
		})
		require.NoError(t, err)
		hosts[answer.GetChosen().GetHostName()] = true
	}
	return slices.Sorted(maps.Keys(hosts))
}

// reports waits until the service knows of so many replicas.
func (s *service) reports(t *testing.T, replicas int) {
	t.Helper()
	want := fmt.Sprintf("\nlxdprovisioner_replicas %d\n", replicas)
	require.EventuallyWithT(t, func(c *assert.CollectT) { assert.Contains(c, s.scrape(t), want) }, 10*time.Second, 10*time.Millisecond)
}

func TestService_X6_3_replicas_prefer_different_hosts_while_they_know_each_other(t *testing.T) {
	t.Parallel()
	r := newRegion(t, nil)
	names := &headless{pods: []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")}}
	one, other := r.startReplica(t, "10.0.0.1", names), r.startReplica(t, "10.0.0.2", names)
	one.reports(t, 2)
	other.reports(t, 2)

	first, second := hostsOf(t, one), hostsOf(t, other)
	all := []string{"lxd-1", "lxd-2", "lxd-3", "lxd-4", "lxd-5", "lxd-6"}
	assert.ElementsMatch(t, all, slices.Concat(first, second), "each host is preferred by one of them")
	assert.NotEmpty(t, first)
	assert.NotEmpty(t, second)
	assert.True(t, logged(one, `"msg":"Replicas changed"`, "10.0.0.2"), one.logs.String())

	names.fail(errors.New("the name server is silent"))
	one.reports(t, 0)
	assert.Equal(t, all, hostsOf(t, one), "who does not know the others takes any host")
	assert.True(t, logged(one, `"level":"WARN"`, "the name server is silent"))
	assert.Contains(t, one.scrape(t), "\nlxdprovisioner_replicas_changes_total 2\n")
}

func TestService_X6_3_is_alone_without_a_name_of_peers(t *testing.T) {
	t.Parallel()
	r := newRegion(t, nil)
	s := r.start(t, func(c *app.Config) {
		c.Resolve = func(context.Context, string, string) ([]netip.Addr, error) {
			t.Error("nothing is looked up")
			return nil, nil
		}
	})
	assert.Len(t, hostsOf(t, s), 6)
	assert.NotContains(t, s.scrape(t), "lxdprovisioner_replicas")
}
