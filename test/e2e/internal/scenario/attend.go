package scenario

import (
	"context"
	"fmt"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// How often the cluster's API server is asked, how long one may wait for an answer, and for how long there may be none: a client may
// come upon a dead address, and etcd elects a leader.
const (
	asking  = time.Second
	answer  = 10 * time.Second
	silence = 30 * time.Second
)

// attend asks the API server at the cluster's name again and again, each time by a new connection as a new client does. What it
// gives back ends that, and says whether it was silent for too long.
func (r *Run) attend(ctx context.Context) (end func() error, err error) {
	config, err := r.workloadConfig(ctx)
	if err != nil {
		return nil, err
	}
	tls, err := rest.TLSConfigFor(config)
	if err != nil {
		return nil, fmt.Errorf("read the cluster's certificates: %w", err)
	}
	asker := &http.Client{Timeout: answer, Transport: &http.Transport{TLSClientConfig: tls, DisableKeepAlives: true}}
	ctx, stop := context.WithCancel(ctx)
	longest := make(chan time.Duration, 1)
	go func() { longest <- r.longestSilence(ctx, asker, config.Host+"/readyz") }()
	return func() error {
		stop()
		most := <-longest
		r.Timeline.Sayf("the cluster's API server was silent for %s at most", most.Round(100*time.Millisecond))
		if most > silence {
			return fmt.Errorf("the cluster's API server was silent for %s", most)
		}
		return nil
	}, nil
}

// longestSilence asks until the context ends.
func (r *Run) longestSilence(ctx context.Context, asker *http.Client, url string) time.Duration {
	ticker := time.NewTicker(asking)
	defer ticker.Stop()
	last := r.Now()
	var longest time.Duration
	for {
		err := ask(ctx, asker, url)
		longest = max(longest, r.Now().Sub(last))
		if err == nil {
			last = r.Now()
		}
		select {
		case <-ctx.Done():
			return longest
		case <-ticker.C:
		}
	}
}

func ask(ctx context.Context, asker *http.Client, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	response, err := asker.Do(request)
	if err != nil {
		return err
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, response.Status)
	}
	return nil
}

// workloadConfig is the kubeconfig that Cluster API wrote.
func (r *Run) workloadConfig(ctx context.Context) (*rest.Config, error) {
	secret := &corev1.Secret{}
	if err := r.management.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: clusterName + "-kubeconfig"}, secret); err != nil {
		return nil, fmt.Errorf("get the cluster's kubeconfig: %w", err)
	}
	config, err := clientcmd.RESTConfigFromKubeConfig(secret.Data["value"])
	if err != nil {
		return nil, fmt.Errorf("read the cluster's kubeconfig: %w", err)
	}
	return config, nil
}
