// Package evidence keeps what API servers and MAAS hold at one moment in files that outlive a run, and leaves secrets out of them.
package evidence

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
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/capmaas/capmaas/services/maassim"
)

// answering bounds one request; what is broken may not answer.
const answering = 10 * time.Second

// MAAS writes what MAAS, LXD and DNS hold, and the hostnames of the machines that are switched on. A simulator tells no user data there,
// only that there are some.
func MAAS(sim *maassim.Sim, on []string, file string) error {
	text, err := json.MarshalIndent(map[string]any{
		"machines": sim.Machines(), "lxd": sim.LXD(), "dns": sim.DNSRecords(), "reservations": sim.Reservations(),
		"requests": sim.Requests(), "on": on,
	}, "", "  ")
	if err != nil {
		return fmt.Errorf("write what MAAS holds: %w", err)
	}
	return keep(file, text)
}

// Objects writes every object of an API server into a directory, a file for each kind. Secrets stay away, and so do the fields of other
// kinds that become user data or hold a key.
func Objects(ctx context.Context, config *rest.Config, dir string) error {
	config = rest.CopyConfig(config)
	config.Timeout = answering
	finder, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return fmt.Errorf("find the kinds: %w", err)
	}
	reader, err := client.New(config, client.Options{})
	if err != nil {
		return fmt.Errorf("find the kinds: %w", err)
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
	for _, item := range list.Items {
		hide(item.Object)
	}
	text, err := yaml.Marshal(list.Items)
	if err != nil {
		return fmt.Errorf("write %s: %w", kind.Kind, err)
	}
	return keep(file, text)
}

// hidden are the fields that are not kept, in whatever kind: bootstrap tokens, passwords and keys of KubeadmConfigs, the content of their
// files, and what kubectl remembers of an object as it was applied.
var hidden = []string{"token", "certificateKey", "passwd", "content", "userData", "kubectl.kubernetes.io/last-applied-configuration"}

// notKept stands where something was.
const notKept = "(not kept)"

// hide overwrites the texts of hidden fields, wherever they are.
func hide(value any) {
	switch v := value.(type) {
	case map[string]any:
		for name, field := range v {
			if _, text := field.(string); text && slices.Contains(hidden, name) {
				v[name] = notKept
				continue
			}
			hide(field)
		}
	case []any:
		for _, element := range v {
			hide(element)
		}
	}
}

func keep(file string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("keep evidence: %w", err)
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return fmt.Errorf("keep evidence: %w", err)
	}
	return nil
}
