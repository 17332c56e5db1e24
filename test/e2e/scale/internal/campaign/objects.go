package campaign

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/capmaas/capmaas/test/e2e/internal/manifest"
	"github.com/capmaas/capmaas/test/e2e/internal/region"
)

const (
	namespace = "default"
	// sampleName is the name of the cluster of deploy/samples/cluster.yaml, which all its objects bear.
	sampleName = "quick-start"
	// machinesPerCluster and controlPlanes are how many there are of each.
	machinesPerCluster = 6
	controlPlanes      = 3
)

// release is one version of Kubernetes and the image that holds it.
type release struct{ version, image string }

// Clusters are made at the older and upgraded to the newer.
var older, newer = release{VersionBefore, region.ImageBefore}, release{Version, region.Image}

// sample is a cluster of its own by the sample, at a release: its templates bear the release's version, for they do not change.
func (c *Campaign) sample(name string, r release) ([]*unstructured.Unstructured, error) {
	text, err := os.ReadFile(filepath.Join(c.Root, "deploy", "samples", "cluster.yaml"))
	if err != nil {
		return nil, fmt.Errorf("read the sample: %w", err)
	}
	objects, err := manifest.Decode([]byte(strings.ReplaceAll(string(text), sampleName, name)))
	if err != nil {
		return nil, err
	}
	for _, object := range objects {
		if err := adapt(object, r); err != nil {
			return nil, fmt.Errorf("change %s %s of the sample: %w", object.GetKind(), object.GetName(), err)
		}
	}
	return objects, nil
}

// adapt puts an object at a release. One worker VM is enough.
func adapt(object *unstructured.Unstructured, r release) error {
	set := func(value any, path ...string) error {
		return unstructured.SetNestedField(object.Object, value, path...)
	}
	at := func(name string) string { return name + "-" + strings.ReplaceAll(r.version, ".", "-") }
	switch object.GetKind() {
	case "MaasMachineTemplate":
		object.SetName(at(object.GetName()))
		return set(r.image, "spec", "template", "spec", "image")
	case "KubeadmControlPlane":
		if err := set(at(object.GetName()), "spec", "machineTemplate", "spec", "infrastructureRef", "name"); err != nil {
			return err
		}
		return set(r.version, "spec", "version")
	case "MachineDeployment":
		if strings.HasSuffix(object.GetName(), "-vm") {
			if err := set(int64(1), "spec", "replicas"); err != nil {
				return err
			}
		}
		if err := set(at(object.GetName()), "spec", "template", "spec", "infrastructureRef", "name"); err != nil {
			return err
		}
		return set(r.version, "spec", "template", "spec", "version")
	}
	return nil
}

// apply creates or changes objects of some kinds as a user does; all where none is named.
func (c *Campaign) apply(ctx context.Context, objects []*unstructured.Unstructured, kinds ...string) error {
	wanted := make(map[string]bool)
	for _, kind := range kinds {
		wanted[kind] = true
	}
	for _, object := range objects {
		if len(kinds) > 0 && !wanted[object.GetKind()] {
			continue
		}
		apply := client.ApplyConfigurationFromUnstructured(object)
		if err := c.Client.Apply(ctx, apply, client.FieldOwner("scale"), client.ForceOwnership); err != nil {
			return fmt.Errorf("apply %s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
	return nil
}
