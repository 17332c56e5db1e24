package scenario

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	corev1 "k8s.io/api/core/v1"
)

// gathering bounds how long evidence is gathered; what is broken may not answer.
const gathering = 2 * time.Minute

// Evidence keeps what Kubernetes, the workload cluster and MAAS hold at this moment, beside the logs.
func (r *Run) Evidence(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), gathering)
	defer cancel()
	dir := filepath.Join(r.Work, "evidence")
	var errs []error
	if r.sim != nil {
		errs = append(errs, r.keepMAAS(dir))
	}
	if r.management == nil || r.management.Client == nil {
		return errors.Join(errs...)
	}
	errs = append(errs, keepObjects(ctx, r.management.Config, filepath.Join(dir, "management")))
	secret := &corev1.Secret{}
	if err := r.management.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: clusterName + "-kubeconfig"}, secret); err == nil {
		config, err := clientcmd.RESTConfigFromKubeConfig(secret.Data["value"])
		if err == nil {
			err = keepObjects(ctx, config, filepath.Join(dir, "workload"))
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (r *Run) keepMAAS(dir string) error {
	text, err := json.MarshalIndent(map[string]any{
		"machines": r.sim.Machines(), "lxd": r.sim.LXD(), "dns": r.sim.DNSRecords(), "reservations": r.sim.Reservations(),
		"requests": r.sim.Requests(), "on": r.fleet.On(),
	}, "", "  ")
	if err != nil {
		return err
	}
	return keep(filepath.Join(dir, "maas.json"), text)
}

// keepObjects writes every object of an API server but Secrets, whose keys would outlive the run in a file.
func keepObjects(ctx context.Context, config *rest.Config, dir string) error {
	config = rest.CopyConfig(config)
	config.Timeout = 10 * time.Second
	finder, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return err
	}
	reader, err := client.New(config, client.Options{})
	if err != nil {
		return err
	}
	groups, err := finder.ServerPreferredResources()
	if err != nil && len(groups) == 0 {
		return fmt.Errorf("find the kinds: %w", err)
	}
	var errs []error
	for _, group := range groups {
		gv, err := schema.ParseGroupVersion(group.GroupVersion)
		if err != nil {
			continue // no kind of it can be asked for
		}
		for _, resource := range group.APIResources {
			if slices.Contains(resource.Verbs, "list") && resource.Kind != "Secret" {
				errs = append(errs, keepKind(ctx, reader, gv.WithKind(resource.Kind), filepath.Join(dir, resource.Name+"."+gv.Group+".yaml")))
			}
		}
	}
	return errors.Join(errs...)
}

func keepKind(ctx context.Context, reader client.Reader, kind schema.GroupVersionKind, file string) error {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
	if err := reader.List(ctx, list); err != nil {
		return fmt.Errorf("list %s: %w", kind.Kind, err)
	}
	if len(list.Items) == 0 {
		return nil
	}
	text, err := yaml.Marshal(list.Items)
	if err != nil {
		return fmt.Errorf("write %s: %w", kind.Kind, err)
	}
	return keep(file, text)
}

func keep(file string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o600)
}
