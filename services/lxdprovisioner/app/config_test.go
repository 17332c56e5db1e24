package app_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/lxdprovisioner/app"
)

const goodKey = "consumer:token:secret-that-nobody-may-see"

func TestRun_names_every_bad_flag_at_once(t *testing.T) {
	t.Parallel()
	cfg := config(t, nil)
	cfg.Listen, cfg.MetricsAddr = "nowhere", "127.0.0.1:no-port"
	cfg.LogLevel, cfg.LogFormat = "loud", "xml"
	cfg.DrainTimeout, cfg.LongCalls, cfg.ListCalls, cfg.ShortCalls, cfg.HostCalls = -1, 0, 0, -4, 0
	cfg.CAFile = filepath.Join(t.TempDir(), "absent.pem")
	cfg.CredentialsDir = t.TempDir()
	cfg.Peers = "replicas.test"
	err := app.Run(t.Context(), cfg)
	require.Error(t, err)
	for _, name := range []string{
		"--listen", "--metrics-addr", "--log-level", "--log-format", "--drain-timeout", "--maas-long-calls", "--maas-short-calls", "--maas-list-calls", "--maas-host-calls",
		"--maas-ca-file", "--maas-credentials-dir", "MAAS_ENDPOINT", "MAAS_API_KEY", "--peers", "POD_IP",
	} {
		assert.ErrorContains(t, err, name)
	}
}

func TestRun_names_what_is_wrong_with_the_credentials(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		env  map[string]string
		want []string
	}{
		"nothing_is_set":     {nil, []string{"MAAS_ENDPOINT", "MAAS_API_KEY", "--maas-credentials-dir"}},
		"endpoint_is_no_url": {map[string]string{"MAAS_ENDPOINT": "maas.example", "MAAS_API_KEY": goodKey}, []string{"MAAS URL"}},
		"key_has_two_parts":  {map[string]string{"MAAS_ENDPOINT": "http://127.0.0.1/MAAS", "MAAS_API_KEY": "consumer:secret-that-nobody-may-see"}, []string{"three parts"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := app.Run(t.Context(), config(t, c.env))
			require.Error(t, err)
			for _, want := range c.want {
				require.ErrorContains(t, err, want)
			}
			assert.NotContains(t, err.Error(), "secret-that-nobody-may-see")
		})
	}
}

func TestRun_refuses_a_CA_file_without_certificates(t *testing.T) {
	t.Parallel()
	cfg := config(t, map[string]string{"MAAS_ENDPOINT": "https://127.0.0.1/MAAS", "MAAS_API_KEY": goodKey})
	cfg.CAFile = filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(cfg.CAFile, []byte("not a certificate"), 0o600))
	require.Error(t, app.Run(t.Context(), cfg))
}

func TestRun_says_that_an_address_is_taken(t *testing.T) {
	t.Parallel()
	r := newRegion(t, nil)
	first := r.start(t, nil)
	cfg := config(t, map[string]string{"MAAS_ENDPOINT": r.server.URL, "MAAS_API_KEY": r.APIKey()})
	cfg.Listen = first.addresses.GRPC.String()
	require.ErrorContains(t, app.Run(t.Context(), cfg), "--listen")
	cfg = config(t, map[string]string{"MAAS_ENDPOINT": r.server.URL, "MAAS_API_KEY": r.APIKey()})
	cfg.MetricsAddr = first.addresses.Metrics.String()
	require.ErrorContains(t, app.Run(t.Context(), cfg), "--metrics-addr")
}
