package main

import (
	"context"
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
	err := run(t.Context(), []string{"--hosts", "-1", "--zones", "0", "--speed", "0"}, io.Discard, io.Discard)
	for _, part := range []string{"--hosts -1", "--zones 0", "--speed 0"} {
		require.ErrorContains(t, err, part)
	}
	require.ErrorContains(t, run(t.Context(), []string{"extra"}, io.Discard, io.Discard), `unexpected argument "extra"`)
}

func TestRun_prints_its_version(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	require.NoError(t, run(t.Context(), []string{"--version"}, &out, io.Discard))
	assert.NotEmpty(t, strings.TrimSpace(out.String()))
}
