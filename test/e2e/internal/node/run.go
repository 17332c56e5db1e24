package node

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/capmaas/capmaas/test/e2e/internal/sandbox"
)

// pace is how often the stand-in looks at what it has to do.
const pace = time.Second

// Config says for which machine the stand-in works, and with what.
type Config struct {
	sandbox.Machine

	Log *slog.Logger
	// Now tells the time.
	Now func() time.Time
	// Root is the directory that holds the machine's files: / where it is empty, as it is in a sandbox.
	Root string
	// Health and API are the addresses at which kubeadm and API servers reach a kubelet; those of a kubelet where they are empty.
	Health, API string
}

// kubelet stands in for a machine's kubelet.
type kubelet struct {
	Config

	port    int32 // at which API servers reach it
	working sync.WaitGroup

	mu     sync.Mutex
	static map[string]*staticPod // by the manifest's file
}

// path is where a file of the machine is.
func (k *kubelet) path(name string) string { return filepath.Join(k.Root, name) }

// Run makes the machine a node and keeps it one until the context ends. What it has started ends before it returns. It fails when the
// user data can't be had or understood.
func Run(ctx context.Context, config Config) error {
	config.Root = cmp.Or(config.Root, "/")
	config.Health, config.API = cmp.Or(config.Health, healthAddress), cmp.Or(config.API, apiAddress)
	k := &kubelet{Config: config, static: make(map[string]*staticPod)}
	defer k.working.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if err := k.serve(ctx); err != nil {
		return err
	}
	done := make(chan error, 1)
	k.working.Go(func() { done <- k.cloudInit(ctx) })
	k.working.Go(func() { k.keepReporting(ctx) })
	ticker := time.NewTicker(pace)
	defer ticker.Stop()
	for {
		k.runStaticPods(ctx)
		select {
		case <-ctx.Done():
			return nil
		case err := <-done:
			if err != nil {
				return fmt.Errorf("run cloud-init: %w", err)
			}
			done = nil
		case <-ticker.C:
		}
	}
}

// keepReporting reports on its own: it waits for API servers that may be this machine's own static pods.
func (k *kubelet) keepReporting(ctx context.Context) {
	ticker := time.NewTicker(pace)
	defer ticker.Stop()
	for {
		if err := k.report(ctx); err != nil {
			k.Log.Info("Reporting the node", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// manifests is where a kubelet looks for static pods.
const manifests = "etc/kubernetes/manifests"

// runStaticPods starts, replaces and ends the processes of static pods as their manifests say.
func (k *kubelet) runStaticPods(ctx context.Context) {
	k.mu.Lock()
	defer k.mu.Unlock()
	files, _ := filepath.Glob(k.path(manifests + "/*.yaml")) // the pattern is good
	there := make(map[string]bool)
	for _, file := range files {
		there[file] = true
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it went away at this moment
		}
		running := k.static[file]
		if running != nil && running.manifest == string(text) {
			continue
		}
		pod := &corev1.Pod{}
		if err := yaml.UnmarshalStrict(text, pod); err != nil || len(pod.Spec.Containers) != 1 {
			k.Log.Info("Reading a manifest", "file", file, "error", err, "containers", len(pod.Spec.Containers))
			continue
		}
		if running != nil {
			running.stop()
		}
		k.Log.Info("Running a static pod", "pod", pod.Name)
		k.static[file] = k.startStaticPod(ctx, string(text), pod)
	}
	for file, running := range k.static {
		if !there[file] {
			k.Log.Info("Ending a static pod", "pod", running.pod.Name)
			running.stop()
			delete(k.static, file)
		}
	}
}

// dialLocal reaches a port of the machine, as a pod with the host's network has it.
func dialLocal(ctx context.Context, port int32) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
}
