package scenario

import (
	"context"
	"fmt"

	"github.com/capmaas/capmaas/test/e2e/internal/region"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// The name and the port that a user wants, in a domain of MAAS besides its own.
const (
	wantedDomain = "cluster.example"
	wantedHost   = "api." + wantedDomain
	wantedPort   = 7443
)

// Endpoint makes a small cluster whose API server has a name and a port that its user wants, and deletes it.
func (r *Run) Endpoint(ctx context.Context) error {
	objects, err := r.sample(region.Image, r.version)
	if err != nil {
		return err
	}
	for _, object := range objects {
		if err := wantEndpoint(object); err != nil {
			return fmt.Errorf("change %s %s of the sample: %w", object.GetKind(), object.GetName(), err)
		}
	}
	if err := r.apply(ctx, objects); err != nil {
		return err
	}
	r.Timeline.Sayf("applied cluster %s at %s:%d", clusterName, wantedHost, wantedPort)
	if err := r.awaitSettled(ctx, "the cluster with its own name to be available", 1, 0, 1); err != nil {
		return err
	}
	s, err := r.look(ctx)
	if err != nil {
		return err
	}
	if got := s.cluster.Spec.ControlPlaneEndpoint; got != (clusterv1.APIEndpoint{Host: wantedHost, Port: wantedPort}) {
		return fmt.Errorf("the cluster's endpoint is %s:%d", got.Host, got.Port)
	}
	return r.Delete(ctx)
}

// wantEndpoint changes an object of the sample: the name, the port, and one machine of each kind of VM.
func wantEndpoint(object *unstructured.Unstructured) error {
	set := func(value any, path ...string) error {
		return unstructured.SetNestedField(object.Object, value, path...)
	}
	switch {
	case object.GetKind() == "MaasCluster":
		if err := set(wantedDomain, "spec", "dnsDomain"); err != nil {
			return err
		}
		return set(map[string]any{"host": wantedHost, "port": int64(wantedPort)}, "spec", "controlPlaneEndpoint")
	case object.GetKind() == "KubeadmControlPlane":
		port := map[string]any{"bindPort": int64(wantedPort)}
		if err := set(port, "spec", "kubeadmConfigSpec", "initConfiguration", "localAPIEndpoint"); err != nil {
			return err
		}
		if err := set(map[string]any{"localAPIEndpoint": port}, "spec", "kubeadmConfigSpec", "joinConfiguration", "controlPlane"); err != nil {
			return err
		}
		return set(int64(1), "spec", "replicas")
	case object.GetName() == metalName && object.GetKind() == "MachineDeployment":
		return set(int64(0), "spec", "replicas")
	}
	return nil
}

// apply creates or changes objects as a user does.
func (r *Run) apply(ctx context.Context, objects []*unstructured.Unstructured) error {
	for _, object := range objects {
		apply := client.ApplyConfigurationFromUnstructured(object)
		err := r.insist(ctx, func(ctx context.Context) error {
			return r.management.Client.Apply(ctx, apply, client.FieldOwner("e2e"), client.ForceOwnership)
		})
		if err != nil {
			return fmt.Errorf("apply %s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
	return nil
}
