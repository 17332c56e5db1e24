package provision_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/backend/maasregion"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/backend/maasvmhost"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/maassim"
)

func TestComposeVM_with_a_key_that_lacks_the_right(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"3.5", "3.8"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			w := start(t, 2, 0, func(c *maassim.Config) { c.Version = version })
			able := w.cfg
			c := w.as(w.sim.UserAPIKey())
			w.cfg.Backend, w.cfg.MAAS = maasvmhost.New(c, w.clock.now, w.cfg.Logger), maasregion.New(c, w.clock.now)
			w.restart()
			req := w.composeRequest("cp-0", "lxd-1")
			again := req
			again.Attempt = w.sent(req.Attempt)
			_, err := w.lxd.ComposeVM(w.ctx(), req)
			requireFault(t, err, fault.Denied, fault.ReasonMAASRightsMissing)

			_, err = w.lxd.ComposeVM(w.ctx(), again)
			requireFault(t, err, fault.NotFound, fault.ReasonVMNotFound)
			_, err = w.lxd.ComposeVM(w.ctx(), req)
			requireFault(t, err, fault.Denied, fault.ReasonMAASRightsMissing)
			assert.Empty(t, w.sim.LXD())

			w.cfg = able
			w.restart()
			_, err = w.lxd.ComposeVM(w.ctx(), req)
			require.NoError(t, err, "X2.4 the same attempt, once the right is there")
		})
	}
}
