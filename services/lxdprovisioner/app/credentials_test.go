package app_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/proto/errorinfo"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
	"github.com/capmaas/capmaas/services/lxdprovisioner/app"
)

// mounted writes the credentials as a mounted secret holds them.
func mounted(t *testing.T, r *region, key string) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "MAAS_ENDPOINT"), []byte(r.server.URL+"/MAAS\n"), 0o600))
	writeKey(t, dir, key)
	return dir
}

// writeKey replaces the key at once, as the kubelet does.
func writeKey(t *testing.T, dir, key string) {
	t.Helper()
	next := filepath.Join(dir, ".next")
	require.NoError(t, os.WriteFile(next, []byte(key+"\n"), 0o600))
	require.NoError(t, os.Rename(next, filepath.Join(dir, "MAAS_API_KEY")))
}

func TestService_takes_a_key_that_was_rotated_without_a_restart(t *testing.T) {
	t.Parallel()
	r := newRegion(t, nil)
	dir := mounted(t, r, "old:key:refused")
	s := r.start(t, func(c *app.Config) { c.CredentialsDir = dir })
	region := lxdprovisionerv1.NewRegionProvisionerClient(s.conn)

	_, err := region.ListZones(t.Context(), &lxdprovisionerv1.ListZonesRequest{})
	info, ours := errorinfo.From(err)
	require.True(t, ours, "%v", err)
	assert.Equal(t, errorinfo.Denied, info.Kind)
	assert.Equal(t, lxdprovisionerv1.Reason_REASON_MAAS_KEY_REFUSED, info.Reason)
	told, err := region.GetRegion(t.Context(), &lxdprovisionerv1.GetRegionRequest{})
	require.NoError(t, err)
	assert.Equal(t, "MAAS_KEY_REFUSED", told.GetProblemReason())

	writeKey(t, dir, r.APIKey())
	_, err = region.ListZones(t.Context(), &lxdprovisionerv1.ListZonesRequest{})
	require.NoError(t, err)
}

func TestService_serves_and_names_the_right_that_the_key_lacks(t *testing.T) {
	t.Parallel()
	r := newRegion(t, nil)
	dir := mounted(t, r, r.UserAPIKey())
	s := r.start(t, func(c *app.Config) { c.CredentialsDir = dir })
	region := lxdprovisionerv1.NewRegionProvisionerClient(s.conn)

	told, err := region.GetRegion(t.Context(), &lxdprovisionerv1.GetRegionRequest{})
	require.NoError(t, err)
	assert.Equal(t, "alice", told.GetUser())
	assert.False(t, told.GetAdmin())
	assert.Equal(t, "MAAS_RIGHTS_MISSING", told.GetProblemReason())
	assert.Contains(t, told.GetProblem(), "administrator")
	require.Eventually(t, func() bool { return health(t, s, "maas") == "NOT_SERVING" }, 10*time.Second, 10*time.Millisecond)
	assert.Equal(t, "SERVING", health(t, s, ""))
	require.Eventually(t, func() bool { return logged(s, `"level":"WARN"`, "administrator") }, 10*time.Second, 10*time.Millisecond)
}
