package playground

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/capmaas/capmaas/test/apiserver"
)

// ApplySample creates every object of deploy/samples/demo, as kubectl apply -k would, and gives them back.
func (p *Playground) ApplySample(ctx context.Context) ([]*unstructured.Unstructured, error) {
	root, err := apiserver.Root()
	if err != nil {
		return nil, err
	}
	files, err := filepath.Glob(filepath.Join(root, "deploy", "samples", "demo", "*.yaml"))
	if err != nil || len(files) == 0 {
		return nil, errors.Join(errors.New("deploy/samples/demo holds no manifests"), err)
	}
	var all []*unstructured.Unstructured
	for _, file := range files {
		if filepath.Base(file) == "kustomization.yaml" {
			continue
		}
		objects, err := read(file)
		if err != nil {
			return nil, err
		}
		for _, object := range objects {
			if err := p.Client.Create(ctx, object); err != nil {
				return nil, fmt.Errorf("apply %s %s: %w", object.GetKind(), object.GetName(), err)
			}
		}
		all = append(all, objects...)
	}
	return all, nil
}

// read gives the objects of a manifest, in Namespace where they name none.
func read(file string) ([]*unstructured.Unstructured, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the sample: %w", err)
	}
	var objects []*unstructured.Unstructured
	for decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096); ; {
		object := &unstructured.Unstructured{}
		if err := decoder.Decode(&object.Object); errors.Is(err, io.EOF) {
			return objects, nil
		} else if err != nil {
			return nil, fmt.Errorf("read %s: %w", file, err)
		}
		if len(object.Object) == 0 {
			continue
		}
		if object.GetNamespace() == "" {
			object.SetNamespace(Namespace)
		}
		objects = append(objects, object)
	}
}
