package app_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/capmaas/capmaas/controllers/app"
	"github.com/capmaas/capmaas/controllers/internal/managertest"
	"github.com/capmaas/capmaas/proto/provisionertest"
)

func TestRun_second_manager_leads_once_the_first_falls_silent(t *testing.T) {
	t.Parallel()
	bed := managertest.NewWithoutManager(t, provisionertest.Config{})
	options := bed.Options()
	options.LeaderElect, options.LeaseNamespace, options.Lease = true, bed.Namespace, 2*time.Second
	holder := func(c require.TestingT) string {
		var leases coordinationv1.LeaseList
		require.NoError(c, bed.Client.List(t.Context(), &leases, client.InNamespace(bed.Namespace)))
		require.Len(c, leases.Items, 1)
		return ptr.Deref(leases.Items[0].Spec.HolderIdentity, "")
	}
	ctx, kill := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- app.Run(ctx, options) }()
	first := ""
	managertest.Eventually(t, func(c *managertest.Check) {
		first = holder(c)
		assert.NotEmpty(c, first)
	}, "the first leads")
	bed.StartManagerWith(t, options)
	kill()
	require.NoError(t, <-ended)
	bed.CreateCluster(t)
	managertest.Eventually(t, func(c *managertest.Check) {
		assert.NotEqual(c, first, holder(c))
		assert.NotEmpty(c, bed.Cluster(c).Finalizers)
	}, "the second leads and works")
}
