package scenario

import (
	"bytes"
	"context"
	_ "embed" // the class's manifests
	"errors"
	"fmt"
	"text/template"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	"github.com/capmaas/capmaas/test/e2e/internal/manifest"
	"github.com/capmaas/capmaas/test/e2e/internal/region"
)

//go:embed topology.yaml
var topologyManifests string

var topology = template.Must(template.New("topology").Parse(topologyManifests))

// The classes, of which the second has the newer image.
const (
	firstClass  = "first"
	secondClass = "second"
)

// topologySize is that of the control plane, and of the workers, of the cluster with a topology.
const topologySize = 1

// Topology makes a cluster of a class, rebases it to a class with another image and version, and deletes it.
func (r *Run) Topology(ctx context.Context) error {
	if r.before == "" {
		return errors.New("there is no version to upgrade from")
	}
	for class, image := range map[string]string{firstClass: region.ImageBefore, secondClass: region.Image} {
		if err := r.applyClass(ctx, class, image); err != nil {
			return err
		}
	}
	if err := r.management.Client.Create(ctx, topologyCluster(firstClass, r.before)); err != nil {
		return fmt.Errorf("create the cluster: %w", err)
	}
	r.Timeline.Sayf("applied cluster %s of class %s at %s", clusterName, firstClass, r.before)
	if err := r.awaitTopology(ctx, "the cluster of a class to be available", r.before); err != nil {
		return err
	}
	text := fmt.Sprintf(`{"spec":{"topology":{"classRef":{"name":%q},"version":%q}}}`, secondClass, r.version)
	if err := r.patch(ctx, &clusterv1.Cluster{}, clusterName, text); err != nil {
		return err
	}
	if err := r.awaitTopology(ctx, "the cluster to be rebased", r.version); err != nil {
		return err
	}
	return r.Delete(ctx)
}

func (r *Run) applyClass(ctx context.Context, class, image string) error {
	var text bytes.Buffer
	if err := topology.Execute(&text, map[string]string{"Class": class, "Image": image}); err != nil {
		return err
	}
	objects, err := manifest.Decode(text.Bytes())
	if err != nil {
		return err
	}
	return r.apply(ctx, objects)
}

func topologyCluster(class, version string) *clusterv1.Cluster {
	replicas := int32(topologySize)
	return &clusterv1.Cluster{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: clusterName},
		Spec: clusterv1.ClusterSpec{
			ClusterNetwork: clusterv1.ClusterNetwork{
				Pods:     clusterv1.NetworkRanges{CIDRBlocks: []string{"192.168.0.0/16"}},
				Services: clusterv1.NetworkRanges{CIDRBlocks: []string{"10.96.0.0/12"}},
			},
			Topology: clusterv1.Topology{
				ClassRef: clusterv1.ClusterClassRef{Name: class}, Version: version,
				ControlPlane: clusterv1.ControlPlaneTopology{Replicas: &replicas},
				Workers: clusterv1.WorkersTopology{
					MachineDeployments: []clusterv1.MachineDeploymentTopology{{Class: "vm", Name: "vm", Replicas: &replicas}},
				},
			},
		},
	}
}

// awaitTopology waits until the cluster is available with every machine at a version and none too many.
func (r *Run) awaitTopology(ctx context.Context, what, version string) error {
	err := r.await(ctx, what, func(ctx context.Context) error {
		s, err := r.look(ctx)
		if err != nil {
			return err
		}
		if s.cluster == nil {
			return errors.New("there is no cluster")
		}
		if status(s.cluster.Status.Conditions, clusterv1.AvailableCondition) != metav1.ConditionTrue {
			return errors.New(condition(s.cluster.Status.Conditions, clusterv1.AvailableCondition))
		}
		if len(s.machines) != 2*topologySize {
			return fmt.Errorf("the cluster has %d machines", len(s.machines))
		}
		for _, m := range s.machines {
			if m.Spec.Version != version || status(m.Status.Conditions, clusterv1.ReadyCondition) != metav1.ConditionTrue {
				return fmt.Errorf("machine %s is at %s, %s", m.Name, m.Spec.Version, condition(m.Status.Conditions, clusterv1.ReadyCondition))
			}
		}
		return r.checkNodes(ctx, s)
	})
	if err != nil {
		return err
	}
	r.Timeline.Sayf("%s: at %s; nodes and provider IDs agree", what, version)
	return r.checkBodies(2 * topologySize)
}
