package app_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
	"github.com/capmaas/capmaas/services/lxdprovisioner/app"
	"github.com/capmaas/capmaas/services/maassim"
)

func TestService_lets_a_host_make_as_many_VMs_at_a_time_as_its_flag_says_and_shows_it(t *testing.T) {
	t.Parallel()
	r := newRegion(t, nil)
	s := r.start(t, func(cfg *app.Config) { cfg.HostCalls = 1 })
	r.Hold("vm-hosts.compose", maassim.AnyName)
	lxd := lxdprovisionerv1.NewLXDProvisionerClient(s.conn)
	var both sync.WaitGroup
	for _, name := range []string{"cp-0", "cp-1"} {
		both.Go(func() {
			_, err := lxd.ComposeVM(t.Context(), compose(name))
			assert.NoError(t, err, name)
		})
	}
	require.NoError(t, r.AwaitHeld(t.Context(), "vm-hosts.compose", maassim.AnyName))
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		text := s.scrape(t)
		assert.Contains(c, text, "lxdprovisioner_maas_host_requests_limit 1")
		assert.Contains(c, text, `lxdprovisioner_maas_host_requests_in_flight{host="vmhost/1"} 1`)
		assert.Contains(c, text, `lxdprovisioner_maas_host_requests_waiting{host="vmhost/1"} 1`, "the other one waits here")
	}, 10*time.Second, 10*time.Millisecond)
	assert.Equal(t, 1, r.Requests()["vm-hosts.compose"], "and not in MAAS")
	require.NoError(t, r.LetGo("vm-hosts.compose", maassim.AnyName))
	both.Wait()
	assert.NotContains(t, s.scrape(t), "lxdprovisioner_maas_host_requests_in_flight{", "a host at rest has no line")
}
