package node

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// restartDelay is the pause before a process that has ended is started again.
const restartDelay = 2 * time.Second

// termination is how long a process may take to end before it is killed.
const termination = 10 * time.Second

// staticPod is a pod whose one container runs as a process.
type staticPod struct {
	manifest string
	pod      *corev1.Pod
	cancel   context.CancelFunc
	ended    chan struct{}
	now      func() time.Time
	log      string

	mu      sync.Mutex
	started time.Time // zero while nothing runs
	starts  int32
}

// startStaticPod runs the pod's container until stop.
func (k *kubelet) startStaticPod(ctx context.Context, manifest string, pod *corev1.Pod) *staticPod {
	ctx, cancel := context.WithCancel(ctx)
	p := &staticPod{manifest: manifest, pod: pod, cancel: cancel, ended: make(chan struct{}), now: k.Now, log: k.path("var/log/" + pod.Name + ".log")}
	k.working.Go(func() {
		defer close(p.ended)
		for ctx.Err() == nil {
			err := p.runOnce(ctx)
			k.Log.Info("A static pod's process has ended", "pod", pod.Name, "error", err)
			select {
			case <-ctx.Done():
			case <-time.After(restartDelay):
			}
		}
	})
	return p
}

func (p *staticPod) stop() {
	p.cancel()
	<-p.ended
}

func (p *staticPod) runOnce(ctx context.Context) error {
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	container := p.pod.Spec.Containers[0]
	argv := append(append([]string{}, container.Command...), container.Args...)
	if len(argv) == 0 {
		return fmt.Errorf("container %s has no command", container.Name)
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr, cmd.Env = log, log, os.Environ()
	for _, variable := range container.Env {
		cmd.Env = append(cmd.Env, variable.Name+"="+variable.Value)
	}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = termination
	if err := cmd.Start(); err != nil {
		return err
	}
	p.note(p.now())
	defer p.note(time.Time{})
	return cmd.Wait()
}

func (p *staticPod) note(started time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.started = started
	if !started.IsZero() {
		p.starts++
	}
}

// status is what a kubelet says of the pod: it is ready when its process runs and its probe is answered.
func (p *staticPod) status(ctx context.Context, address string) corev1.PodStatus {
	p.mu.Lock()
	started, starts := p.started, p.starts
	p.mu.Unlock()
	if started.IsZero() {
		return podStatus(p.pod, address, corev1.PodPending, false, started, starts)
	}
	return podStatus(p.pod, address, corev1.PodRunning, probe(ctx, p.pod.Spec.Containers[0]), started, starts)
}

// probing asks a pod's own probe, whose certificate nobody checks.
var probing = &http.Client{
	Timeout:   2 * time.Second,
	Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true},
}

// probe asks the readiness probe, or the liveness probe where there is none; a container without either is ready.
func probe(ctx context.Context, container corev1.Container) bool {
	for _, p := range []*corev1.Probe{container.ReadinessProbe, container.LivenessProbe} {
		if p != nil && p.HTTPGet != nil {
			return get(ctx, container, p.HTTPGet)
		}
	}
	return true
}

func get(ctx context.Context, container corev1.Container, action *corev1.HTTPGetAction) bool {
	scheme, port := "http", action.Port.String()
	if action.Scheme == corev1.URISchemeHTTPS {
		scheme = "https"
	}
	for _, named := range container.Ports {
		if named.Name == port {
			port = fmt.Sprint(named.ContainerPort)
		}
	}
	host := action.Host
	if host == "" {
		host = "127.0.0.1"
	}
	url := fmt.Sprintf("%s://%s%s", scheme, net.JoinHostPort(host, port), action.Path)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return false
	}
	response, err := probing.Do(request)
	if err != nil {
		return false
	}
	defer func() { _ = response.Body.Close() }()
	return response.StatusCode < http.StatusBadRequest
}
