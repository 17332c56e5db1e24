package scenario

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/capmaas/capmaas/test/e2e/internal/manifest"
)

// The cluster of deploy/samples/cluster.yaml.
const (
	namespace   = "default"
	clusterName = "quick-start"

	controlPlaneName = clusterName + "-control-plane"
	metalName        = clusterName + "-metal"
	vmName           = clusterName + "-vm"
)

// sample reads deploy/samples/cluster.yaml and changes what its images and a kubelet would have to provide: there is no container
// runtime, and nothing to pull images with. One worker VM is enough.
func (r *Run) sample(image, version string) ([]*unstructured.Unstructured, error) {
	objects, err := r.readSample("cluster.yaml")
	if err != nil {
		return nil, err
	}
	for _, object := range objects {
		if err := adapt(object, image, version); err != nil {
			return nil, fmt.Errorf("change %s %s of the sample: %w", object.GetKind(), object.GetName(), err)
		}
	}
	return objects, nil
}

// readSample reads a file of deploy/samples.
func (r *Run) readSample(name string) ([]*unstructured.Unstructured, error) {
	text, err := os.ReadFile(filepath.Join(r.Root, "deploy", "samples", name))
	if err != nil {
		return nil, fmt.Errorf("read the sample: %w", err)
	}
	return manifest.Decode(text)
}

func adapt(object *unstructured.Unstructured, image, version string) error {
	content := object.Object
	switch object.GetKind() {
	case "MaasMachineTemplate":
		return unstructured.SetNestedField(content, image, "spec", "template", "spec", "image")
	case "KubeadmControlPlane":
		for _, way := range []string{"initConfiguration", "joinConfiguration"} {
			if err := withoutRuntime(content, "spec", "kubeadmConfigSpec", way); err != nil {
				return err
			}
		}
		return unstructured.SetNestedField(content, version, "spec", "version")
	case "KubeadmConfigTemplate":
		return withoutRuntime(content, "spec", "template", "spec", "joinConfiguration")
	case "MachineDeployment":
		if object.GetName() == vmName {
			if err := unstructured.SetNestedField(content, int64(1), "spec", "replicas"); err != nil {
				return err
			}
		}
		return unstructured.SetNestedField(content, version, "spec", "template", "spec", "version")
	}
	return nil
}

// withoutRuntime lets kubeadm do without a container runtime.
func withoutRuntime(content map[string]any, path ...string) error {
	for field, value := range map[string]any{
		"criSocket": "unix:///run/none.sock", "imagePullPolicy": "Never", "ignorePreflightErrors": []any{"all"},
	} {
		if err := unstructured.SetNestedField(content, value, append(path, "nodeRegistration", field)...); err != nil {
			return err
		}
	}
	return nil
}

// applySample creates the sample's objects as a user does.
func (r *Run) applySample(ctx context.Context, image, version string) error {
	objects, err := r.sample(image, version)
	if err != nil {
		return err
	}
	if err := r.apply(ctx, objects); err != nil {
		return err
	}
	r.Timeline.Sayf("applied cluster %s at %s", clusterName, version)
	return nil
}
