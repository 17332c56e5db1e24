package main

import (
	"context"
	"flag"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRun_writes_its_URL_and_serves(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	file := filepath.Join(t.TempDir(), "url")
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, []string{"--listen", "127.0.0.1:0", "--url-file", file, "--hosts", "2", "--maas-version", "3.7"}, io.Discard, io.Discard)
	}()
	var url string
	require.Eventually(t, func() bool {
		raw, err := os.ReadFile(file)
		url = strings.TrimSpace(string(raw))
		return err == nil
	}, 10*time.Second, 5*time.Millisecond)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/api/2.0/version/", nil)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	assert.Contains(t, string(body), `"version": "3.7.`)
	cancel()
	require.NoError(t, <-done)
}

func TestRun_refuses_flags_that_make_no_sense_all_at_once(t *testing.T) {
	t.Parallel()
	err := run(t.Context(), []string{"--hosts", "-1", "--zones", "0", "--cpu-over-commit", "11"}, io.Discard, io.Discard)
	for _, part := range []string{"--hosts -1", "--zones 0", "--cpu-over-commit 11"} {
		require.ErrorContains(t, err, part)
	}
	require.ErrorContains(t, run(t.Context(), []string{"--speed", "0"}, io.Discard, io.Discard), "--speed 0")
	require.ErrorContains(t, run(t.Context(), []string{"--fault", "status=many"}, io.Discard, io.Discard), `fault "status=many"`)
	require.ErrorContains(t, run(t.Context(), []string{"--listen", "127.0.0.1:0", "--fault", "operation=nosuch,status=500"}, io.Discard, io.Discard), `no operation "nosuch"`)
	require.ErrorContains(t, run(t.Context(), []string{"--faults", "/nosuch"}, io.Discard, io.Discard), "read the fault plan")
	require.ErrorContains(t, run(t.Context(), []string{"--config", "/nosuch", "--hosts", "3"}, io.Discard, io.Discard), "--hosts: the file of --config says that")
	require.ErrorContains(t, run(t.Context(), []string{"extra"}, io.Discard, io.Discard), `unexpected argument "extra"`)
}

func TestRun_prints_its_version(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	require.NoError(t, run(t.Context(), []string{"--version"}, &out, io.Discard))
	assert.NotEmpty(t, strings.TrimSpace(out.String()))
}

// serve runs the command until the test ends and returns its URL and, when it has ended, what it printed.
func serve(t *testing.T, args ...string) (url string, end func() string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	file := filepath.Join(t.TempDir(), "url")
	var out strings.Builder
	done := make(chan error, 1)
	go func() { done <- run(ctx, append(args, "--url-file", file), &out, io.Discard) }()
	require.Eventually(t, func() bool {
		raw, err := os.ReadFile(file)
		url = strings.TrimSpace(string(raw))
		return err == nil
	}, 10*time.Second, 5*time.Millisecond)
	return url, func() string {
		cancel()
		require.NoError(t, <-done)
		return out.String()
	}
}

func status(t *testing.T, url string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	resp, err := new(http.Transport).RoundTrip(req)
	require.NoError(t, err)
	_ = resp.Body.Close()
	return resp.StatusCode
}

func TestRun_serves_the_world_of_a_file_with_the_flags_before_it(t *testing.T) {
	t.Parallel()
	world := filepath.Join(t.TempDir(), "world.json")
	require.NoError(t, os.WriteFile(world, []byte(`{"version": "3.6", "listen": "127.0.0.1:1", "hosts": [{"name": "solo", "cores": 4, "memoryMiB": 4096}]}`), 0o600))
	url, end := serve(t, "--config", world, "--listen", "127.0.0.1:0", "--fault", "operation=version.read,status=418,count=1", "--fault", "host=solo,preset=no-rack")
	assert.Equal(t, 418, status(t, url+"/api/2.0/version/"))
	assert.Equal(t, 200, status(t, url+"/api/2.0/version/"))
	assert.Equal(t, 401, status(t, url+"/api/2.0/zones/"))
	printed := end()
	assert.Contains(t, printed, "MAAS 3.6.")
	assert.Contains(t, printed, url)
}

func TestRun_prints_a_request_that_works(t *testing.T) {
	t.Parallel()
	url, end := serve(t, "--listen", "127.0.0.1:0", "--hosts", "1")
	printed := end()
	assert.Contains(t, printed, url+"/api/2.0/vm-hosts/")
	assert.Contains(t, printed, "oauth_signature=%26SimTokenSecret")
	quiet, end := serve(t, "--listen", "127.0.0.1:0", "--quiet")
	assert.NotEmpty(t, quiet)
	assert.Empty(t, end())
}

func TestRun_with_TLS_writes_the_certificate_and_redirects(t *testing.T) {
	t.Parallel()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	url, end := serve(t, "--listen", "127.0.0.1:0", "--tls-listen", "127.0.0.1:0", "--ca-file", ca)
	raw, err := os.ReadFile(ca)
	require.NoError(t, err)
	assert.Contains(t, string(raw), "BEGIN CERTIFICATE")
	assert.Equal(t, 301, status(t, url+"/api/2.0/zones/"))
	assert.Contains(t, end(), "--cacert "+ca)
}

func TestRun_explains_itself(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	require.ErrorIs(t, run(t.Context(), []string{"--help"}, &out, io.Discard), flag.ErrHelp)
	for _, part := range []string{"Examples:", "--fault operation=vm-hosts.compose,host=lxd-3,status=503,count=2", "db-conflict", "-maas-version version", "/_sim/"} {
		assert.Contains(t, out.String(), part)
	}
}
