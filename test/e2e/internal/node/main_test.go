package node_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/test/e2e/internal/node"
	"github.com/capmaas/capmaas/test/e2e/internal/sandbox"
)

// patience bounds what takes seconds on a machine that does nothing else, and rhythm is how often it is looked for.
const (
	patience = 3 * time.Minute
	rhythm   = 50 * time.Millisecond
)

// version is that of the Kubernetes of every machine here.
const version = "v1.36.3"

// newRoot makes a directory that an image would have filled. Commands know it as ROOT in the user data.
func newRoot(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for _, dir := range []string{"run", "var/log", "etc/kubernetes/manifests", "var/lib/kubelet"} {
		require.NoError(t, os.MkdirAll(filepath.Join(root, dir), 0o700))
	}
	return root
}

func write(t *testing.T, root, name, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(root, name), []byte(text), 0o600))
}

// configure gives what a machine that MAAS has deployed with these user data is started with.
func configure(t *testing.T, hostname, root string, metadata http.Handler) node.Config {
	t.Helper()
	server := httptest.NewServer(metadata)
	t.Cleanup(server.Close)
	return node.Config{
		Machine: sandbox.Machine{Hostname: hostname, Address: netip.MustParseAddr("127.0.0.1"), Version: version, Metadata: server.URL},
		Log:     slog.New(slog.NewTextHandler(t.Output(), nil)), Now: time.Now, Root: root, Health: "127.0.0.1:0", API: "127.0.0.1:0",
	}
}

// userData serves user data, with the machine's root in them.
func userData(root, text string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(strings.ReplaceAll(text, "ROOT", root)))
	})
}

// boot starts a machine, which ends with the test.
func boot(t *testing.T, config node.Config) {
	t.Helper()
	ctx, off := context.WithCancel(context.Background()) // it ends in Cleanup, in which a failure is still told
	ended := make(chan error, 1)
	go func() { ended <- node.Run(ctx, config) }()
	t.Cleanup(func() {
		off()
		require.NoError(t, <-ended, "the machine ended by itself")
	})
}

// awaitFile waits until a file of the machine has a text in it.
func awaitFile(t *testing.T, root, name, want string) {
	t.Helper()
	require.Eventually(t, func() bool {
		text, err := os.ReadFile(filepath.Join(root, name))
		return err == nil && strings.Contains(string(text), want)
	}, patience, rhythm, "%s has no %q", name, want)
}
