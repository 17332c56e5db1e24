package app_test

import (
	"flag"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/cluster-api/feature"

	"github.com/capmaas/capmaas/controllers/app"
)

// parse gives the options of a command line.
func parse(t *testing.T, args ...string) app.Options {
	t.Helper()
	options := app.DefaultOptions()
	fs := flag.NewFlagSet("manager", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	options.AddFlags(fs)
	require.NoError(t, fs.Parse(args))
	return options
}

func TestValidate_names_every_bad_flag_at_once(t *testing.T) {
	t.Parallel()
	options := parse(t, "--namespace", "No_Label", "--metrics-bind-addr", "nonsense", "--health-addr", ":99999", "--profiler-address", "nowhere", "--diagnostics-address", "nowhere", "--webhook-port", "-1",
		"--machine-concurrency", "0", "--cluster-concurrency", "0", "--sync-period", "1ms", "--orphan-interval", "-1s", "--creations-per-cluster", "-1", "--time-scale", "0")
	err := options.Validate()
	require.Error(t, err)
	for _, name := range []string{
		"--namespace", "--metrics-bind-addr", "--health-addr", "--profiler-address", "--diagnostics-address", "--webhook-port", "--machine-concurrency", "--cluster-concurrency",
		"--sync-period", "--orphan-interval", "--creations-per-cluster", "--time-scale", "--provisioner-address", "--provisioner-tls-dir",
	} {
		assert.ErrorContains(t, err, name+":")
	}
	require.ErrorContains(t, app.Run(t.Context(), options), "--provisioner-address")
}

func TestValidate_demands_certificates_or_the_clear_and_not_both(t *testing.T) {
	t.Parallel()
	both := parse(t, "--provisioner-address=p:1", "--provisioner-insecure", "--provisioner-tls-dir=/tls")
	require.ErrorContains(t, both.Validate(), "--provisioner-insecure: contradicts --provisioner-tls-dir")
	nameless := parse(t, "--provisioner-address=p:1", "--provisioner-tls-dir=/tls", "--provisioner-server-name=")
	require.ErrorContains(t, nameless.Validate(), "--provisioner-server-name:")
	good := parse(t, "--provisioner-address=p:1", "--provisioner-tls-dir=/tls")
	require.NoError(t, good.Validate())
	assert.Equal(t, "capmaas-lxdprovisioner", good.ProvisionerServerName)
	require.ErrorContains(t, app.Run(t.Context(), good), "/tls", "files that are missing are named before anything starts")
}

func TestAddFlags_takes_the_existing_providers_command_line(t *testing.T) {
	t.Parallel()
	options := parse(t, "--namespace=team-a", "--metrics-bind-addr=127.0.0.1:8080", "--health-addr=:9440", "--webhook-port=9443",
		"--machine-concurrency=2", "--sync-period=120m", "--leader-elect", "--watch-filter=blue", "--provisioner-address=provisioner:8443", "--provisioner-tls-dir=/tls")
	require.NoError(t, options.Validate())
	assert.Equal(t, "team-a", options.Namespace)
	assert.Equal(t, "127.0.0.1:8080", options.MetricsAddress)
	assert.Equal(t, 2*time.Hour, options.SyncPeriod)
	assert.Equal(t, 2, options.MachineConcurrency)
	assert.Equal(t, "blue", options.WatchFilter)
	assert.True(t, options.LeaderElect)
	assert.False(t, options.ProvisionerInsecure, "plaintext is never the default")
	assert.InDelta(t, 1, options.TimeScale, 0)
}

// The gates are the process's own, so the test sets one to what it is.
func TestAddFlags_takes_the_flags_of_Cluster_APIs_managers(t *testing.T) {
	t.Parallel()
	limiting := feature.Gates.Enabled(feature.ReconcilerRateLimiting)
	options := parse(t, "--profiler-address=localhost:6060", fmt.Sprintf("--feature-gates=ReconcilerRateLimiting=%t", limiting),
		"--provisioner-address=provisioner:8443", "--provisioner-insecure")
	require.NoError(t, options.Validate())
	assert.Equal(t, "localhost:6060", options.ProfilerAddress)
	unknown := flag.NewFlagSet("manager", flag.ContinueOnError)
	unknown.SetOutput(io.Discard)
	options.AddFlags(unknown)
	require.ErrorContains(t, unknown.Parse([]string{"--feature-gates=NoSuchThing=true"}), "NoSuchThing")
}
