package provisioner_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/controllers/internal/provisioner"
	"github.com/capmaas/capmaas/proto/errorinfo"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
	"github.com/capmaas/capmaas/proto/provisionertest"
)

func TestRegion_asks_once_a_minute_for_everybody(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	fake := provisionertest.New(provisionertest.Config{Version: "v1.4.2"})
	region := &provisioner.Region{
		Client:  lxdprovisionerv1.NewRegionProvisionerClient(fake.Dial(t)),
		Version: "v1.4.0", Scale: 1, Clock: func() time.Time { return now },
	}
	for range 3 {
		reason, _ := region.Problem(t.Context())
		assert.Empty(t, reason)
		zones, err := region.Zones(t.Context(), provisioner.RegionAge)
		require.NoError(t, err)
		assert.Len(t, zones, 3)
	}
	assert.Len(t, provisionertest.Requests[*lxdprovisionerv1.GetRegionRequest](fake), 1)
	assert.Len(t, provisionertest.Requests[*lxdprovisionerv1.ListZonesRequest](fake), 1)

	now = now.Add(121 * time.Second)
	fake.FailNext("GetRegion", provisionertest.Fault(errorinfo.Unavailable, lxdprovisionerv1.Reason_REASON_MAAS_UNAVAILABLE, "MAAS is silent"))
	reason, message := region.Problem(t.Context())
	assert.Equal(t, "MAAS_UNAVAILABLE", reason)
	assert.Equal(t, "MAAS is silent", message)
	now = now.Add(61 * time.Second)
	reason, _ = region.Problem(t.Context())
	assert.Empty(t, reason, "what is wrong is not believed for as long")
}

func TestRegion_lists_zones_seldom_where_nothing_depends_on_it(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	fake := provisionertest.New(provisionertest.Config{Hosts: []provisionertest.Host{{Name: "lxd-01", Zone: "az1"}}})
	region := &provisioner.Region{
		Client: lxdprovisionerv1.NewRegionProvisionerClient(fake.Dial(t)), Scale: 1, Clock: func() time.Time { return now },
	}
	asked := func(after time.Duration, age time.Duration) int {
		now = now.Add(after)
		before := len(provisionertest.Requests[*lxdprovisionerv1.ListZonesRequest](fake))
		_, _ = region.Zones(t.Context(), age)
		return len(provisionertest.Requests[*lxdprovisionerv1.ListZonesRequest](fake)) - before
	}
	assert.Equal(t, 1, asked(0, provisioner.ZonesAge))
	assert.Equal(t, 0, asked(9*time.Minute, provisioner.ZonesAge))
	assert.Equal(t, 1, asked(0, provisioner.RegionAge), "for whom something depends on it")
	fake.FailNext("ListZones", provisionertest.Fault(errorinfo.Unavailable, lxdprovisionerv1.Reason_REASON_MAAS_UNAVAILABLE, "MAAS is silent"))
	assert.Equal(t, 1, asked(10*time.Minute, provisioner.ZonesAge))
	assert.Equal(t, 1, asked(time.Minute, provisioner.ZonesAge), "a failure is not believed for long")
	require.True(t, fake.SetHostUnusable("lxd-01", lxdprovisionerv1.RejectionReason_REJECTION_REASON_HOST_POWERED_OFF))
	assert.Equal(t, 1, asked(10*time.Minute, provisioner.ZonesAge))
	assert.Equal(t, 1, asked(time.Minute, provisioner.ZonesAge), "nor is the loss of a zone")
}

func TestRegion_P5_says_a_version_that_does_not_agree(t *testing.T) {
	t.Parallel()
	for versions, want := range map[[2]string]string{
		{"v1.4.0", "v1.4.9"}:        "",
		{"v1.4.0", "v1.5.0"}:        infrav1.ProvisionerVersionMismatchReason,
		{"v1.4.0", "v2.4.0"}:        infrav1.ProvisionerVersionMismatchReason,
		{"v1.4.0-3-gabc", "v1.4.1"}: "",
		{"unknown", "v1.4.1"}:       "",
		{"v1.4.0", "96c29f8-dirty"}: "",
	} {
		fake := provisionertest.New(provisionertest.Config{Version: versions[1]})
		region := &provisioner.Region{
			Client: lxdprovisionerv1.NewRegionProvisionerClient(fake.Dial(t)), Version: versions[0], Scale: 1, Clock: time.Now,
		}
		reason, message := region.Problem(t.Context())
		assert.Equal(t, want, reason, versions)
		if want != "" {
			assert.Contains(t, message, versions[1])
		}
	}
}
