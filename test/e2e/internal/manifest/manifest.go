// Package manifest takes what a provider installs apart: what the API server gets, and what its Deployment says of the
// manager, which runs as a process beside it.
package manifest

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// Provider is what one provider installs.
type Provider struct {
	// Objects are namespaces, kinds and rights.
	Objects []*unstructured.Unstructured
	// Webhooks are applied once the manager serves them: until then they would let nothing be written.
	Webhooks []*unstructured.Unstructured
	// User is the service account of the manager's Deployment, as the API server names it.
	User string
}

// Endpoint is where a manager serves its webhooks, and who signed its certificate.
type Endpoint struct {
	Port      int
	Authority []byte
}

// Decode reads every document of a YAML stream.
func Decode(stream []byte) ([]*unstructured.Unstructured, error) {
	var all []*unstructured.Unstructured
	for decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(stream), 4096); ; {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(&object.Object)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read a manifest: %w", err)
		}
		if len(object.Object) > 0 {
			all = append(all, object)
		}
	}
}

// Read takes a provider's manifests apart and turns every reference to its webhook Service into a URL on loopback.
func Read(stream []byte, manager string, at Endpoint) (Provider, error) {
	objects, err := Decode(stream)
	if err != nil {
		return Provider{}, err
	}
	var p Provider
	for _, object := range objects {
		switch kind := object.GetKind(); kind {
		case "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration":
			if err := redirectWebhooks(object, at); err != nil {
				return Provider{}, err
			}
			p.Webhooks = append(p.Webhooks, object)
		case "CustomResourceDefinition":
			if err := redirect(object.Object, at, "spec", "conversion", "webhook", "clientConfig"); err != nil {
				return Provider{}, err
			}
			object.SetLabels(withInventory(object.GetLabels()))
			p.Objects = append(p.Objects, object)
		case "Namespace", "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding":
			p.Objects = append(p.Objects, object)
		case "Deployment":
			if object.GetName() == manager {
				account, _, err := unstructured.NestedString(object.Object, "spec", "template", "spec", "serviceAccountName")
				if err != nil || account == "" {
					return Provider{}, errors.Join(fmt.Errorf("deployment %s names no service account", manager), err)
				}
				p.User = strings.Join([]string{"system:serviceaccount", object.GetNamespace(), account}, ":")
			}
		}
	}
	if p.User == "" {
		return Provider{}, fmt.Errorf("no deployment is named %s", manager)
	}
	return p, nil
}

// withInventory adds the label by which clusterctl knows the kinds that it has installed, which it moves.
func withInventory(labels map[string]string) map[string]string {
	all := map[string]string{"clusterctl.cluster.x-k8s.io": ""}
	maps.Copy(all, labels)
	return all
}

func redirectWebhooks(object *unstructured.Unstructured, at Endpoint) error {
	webhooks, _, err := unstructured.NestedSlice(object.Object, "webhooks")
	if err != nil {
		return fmt.Errorf("read %s %s: %w", object.GetKind(), object.GetName(), err)
	}
	for _, one := range webhooks {
		webhook, ok := one.(map[string]any)
		if !ok {
			return fmt.Errorf("read %s %s: a webhook is no object", object.GetKind(), object.GetName())
		}
		if err := redirect(webhook, at, "clientConfig"); err != nil {
			return err
		}
	}
	return unstructured.SetNestedSlice(object.Object, webhooks, "webhooks")
}

// redirect turns a clientConfig from a Service into a URL, where there is one.
func redirect(object map[string]any, at Endpoint, path ...string) error {
	service, found, err := unstructured.NestedMap(object, append(path, "service")...)
	if err != nil || !found {
		return err
	}
	target, ok := service["path"].(string)
	if !ok {
		return fmt.Errorf("a webhook's service has no path: %v", service)
	}
	return unstructured.SetNestedMap(object, map[string]any{
		"url":      fmt.Sprintf("https://127.0.0.1:%d%s", at.Port, target),
		"caBundle": base64.StdEncoding.EncodeToString(at.Authority),
	}, path...)
}
