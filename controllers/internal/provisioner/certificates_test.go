package provisioner_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/capmaas/capmaas/controllers/internal/provisioner"
	"github.com/capmaas/capmaas/proto/mtls/mtlstest"
)

// ends gives what the process tells of the ends of certificates, by file.
func ends(t *testing.T) map[string]float64 {
	t.Helper()
	families, err := metrics.Registry.Gather()
	require.NoError(t, err)
	told := map[string]float64{}
	for _, family := range families {
		if family.GetName() != "capmaas_certificate_end_timestamp_seconds" {
			continue
		}
		for _, one := range family.GetMetric() {
			told[one.GetLabel()[0].GetValue()] = one.GetGauge().GetValue()
		}
	}
	return told
}

func TestDial_tells_until_when_the_certificates_serve(t *testing.T) { //nolint:paralleltest // other tests' clients are told of too
	by := authority(t)
	dir := mount(t, by, mtlstest.Subject{CommonName: "capmaas-manager", Lifetime: time.Hour}, by)
	client, err := provisioner.Dial(provisioner.DialOptions{Address: "127.0.0.1:1", TLSDir: dir})
	require.NoError(t, err)
	told := ends(t)
	assert.InDelta(t, time.Now().Add(time.Hour).Unix(), told["tls.crt"], 60)
	assert.InDelta(t, time.Now().Add(24*time.Hour).Unix(), told["ca.crt"], 60)
	require.NoError(t, by.Mount(dir, mtlstest.Subject{CommonName: "capmaas-manager", Lifetime: 2 * time.Hour}))
	assert.InDelta(t, time.Now().Add(2*time.Hour).Unix(), ends(t)["tls.crt"], 60, "a renewed one counts before anything is dialled")
	require.NoError(t, client.Close())
	assert.Empty(t, ends(t))

	open, err := provisioner.Dial(provisioner.DialOptions{Address: "127.0.0.1:1", Insecure: true})
	require.NoError(t, err)
	assert.Empty(t, ends(t))
	require.NoError(t, open.Close())
}
