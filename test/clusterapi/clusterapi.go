// Package clusterapi stands in for the managers of Cluster API: it does to Cluster, Machine and
// the infrastructure objects what core's contract with an infrastructure provider says, so that the
// provider can be run against an API server alone. It makes no Machines and no bootstrap data.
package clusterapi

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"
	controlplanev1 "sigs.k8s.io/cluster-api/api/controlplane/kubeadm/v1beta2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util"
	"sigs.k8s.io/cluster-api/util/conditions"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
)

const (
	interval  = 300 * time.Millisecond
	finalizer = "capmaas.test/cluster-api-stand-in"
)

// StandIn plays the managers for one namespace.
type StandIn struct {
	Client    client.Client
	Namespace string
	// OnError hears of every failed pass; the next pass tries again. Optional.
	OnError func(error)
}

// Run passes over all clusters and machines several times a second until ctx ends.
func (s *StandIn) Run(ctx context.Context) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		if err := s.pass(ctx); err != nil && s.OnError != nil && ctx.Err() == nil {
			s.OnError(err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (s *StandIn) pass(ctx context.Context) error {
	var clusters clusterv1.ClusterList
	if err := s.Client.List(ctx, &clusters, client.InNamespace(s.Namespace)); err != nil {
		return fmt.Errorf("list clusters: %w", err)
	}
	var errs []error
	for i := range clusters.Items {
		errs = append(errs, s.cluster(ctx, &clusters.Items[i]))
	}
	return ignoreRaces(errors.Join(errs...))
}

func (s *StandIn) cluster(ctx context.Context, cluster *clusterv1.Cluster) error {
	var machines clusterv1.MachineList
	if err := s.Client.List(ctx, &machines, client.InNamespace(cluster.Namespace), client.MatchingLabels{clusterv1.ClusterNameLabel: cluster.Name}); err != nil {
		return fmt.Errorf("list machines: %w", err)
	}
	if !cluster.DeletionTimestamp.IsZero() {
		return s.deleteCluster(ctx, cluster, machines.Items)
	}
	if err := s.own(ctx, cluster, cluster, infra(cluster.Spec.InfrastructureRef, "")); err != nil {
		return err
	}
	if err := s.mirrorCluster(ctx, cluster); err != nil {
		return err
	}
	var errs []error
	for i := range machines.Items {
		errs = append(errs, s.machine(ctx, cluster, &machines.Items[i]))
	}
	return errors.Join(errs...)
}

func (s *StandIn) machine(ctx context.Context, cluster *clusterv1.Cluster, machine *clusterv1.Machine) error {
	if !machine.DeletionTimestamp.IsZero() {
		return s.deleteMachine(ctx, machine)
	}
	if err := s.own(ctx, cluster, machine, nil); err != nil {
		return err
	}
	if err := s.own(ctx, machine, machine, infra(machine.Spec.InfrastructureRef, cluster.Name)); err != nil {
		return err
	}
	return s.mirrorMachine(ctx, machine)
}

// own puts our finalizer on object and owner's reference on owned; owned is object where it is nil.
func (s *StandIn) own(ctx context.Context, owner, object client.Object, owned *reference) error {
	if controllerutil.AddFinalizer(object, finalizer) {
		if err := s.Client.Update(ctx, object); err != nil {
			return fmt.Errorf("add finalizer to %s: %w", object.GetName(), err)
		}
	}
	target := object
	if owned != nil {
		u, err := s.get(ctx, object.GetNamespace(), owned)
		if err != nil {
			return err
		}
		target = u
	} else if owner == object {
		return nil
	}
	before := target.DeepCopyObject().(client.Object)
	if err := controllerutil.SetOwnerReference(owner, target, s.Client.Scheme()); err != nil {
		return fmt.Errorf("own %s: %w", target.GetName(), err)
	}
	if owned != nil && owned.cluster != "" {
		labels := target.GetLabels()
		if labels == nil {
			labels = map[string]string{}
		}
		labels[clusterv1.ClusterNameLabel] = owned.cluster
		target.SetLabels(labels)
	}
	if err := s.Client.Patch(ctx, target, client.MergeFrom(before)); err != nil {
		return fmt.Errorf("own %s: %w", target.GetName(), err)
	}
	return nil
}

// mirrorCluster copies what the contract lets core copy from a MaasCluster.
func (s *StandIn) mirrorCluster(ctx context.Context, cluster *clusterv1.Cluster) error {
	var maasCluster infrav1.MaasCluster
	key := client.ObjectKey{Namespace: cluster.Namespace, Name: cluster.Spec.InfrastructureRef.Name}
	if err := s.Client.Get(ctx, key, &maasCluster); err != nil {
		return fmt.Errorf("get MaasCluster %s: %w", key.Name, err)
	}
	if !ptr.Deref(maasCluster.Status.Initialization.Provisioned, false) {
		return nil
	}
	before := cluster.DeepCopy()
	cluster.Spec.ControlPlaneEndpoint = clusterv1.APIEndpoint{Host: maasCluster.Spec.ControlPlaneEndpoint.Host, Port: maasCluster.Spec.ControlPlaneEndpoint.Port}
	if err := s.Client.Patch(ctx, cluster, client.MergeFrom(before)); err != nil {
		return fmt.Errorf("copy the endpoint of %s: %w", cluster.Name, err)
	}
	before = cluster.DeepCopy()
	cluster.Status.Initialization.InfrastructureProvisioned = new(true)
	cluster.Status.FailureDomains = maasCluster.Status.FailureDomains
	cluster.Status.Phase = string(clusterv1.ClusterPhaseProvisioned)
	if err := s.Client.Status().Patch(ctx, cluster, client.MergeFrom(before)); err != nil {
		return fmt.Errorf("copy the status of %s: %w", cluster.Name, err)
	}
	return nil
}

// mirrorMachine copies what the contract lets core copy from a MaasMachine. For a control plane it says
// what KubeadmControlPlane would: whether the API server on the machine is healthy. It is while the machine is on.
func (s *StandIn) mirrorMachine(ctx context.Context, machine *clusterv1.Machine) error {
	var maasMachine infrav1.MaasMachine
	key := client.ObjectKey{Namespace: machine.Namespace, Name: machine.Spec.InfrastructureRef.Name}
	if err := s.Client.Get(ctx, key, &maasMachine); err != nil {
		return fmt.Errorf("get MaasMachine %s: %w", key.Name, err)
	}
	if !ptr.Deref(maasMachine.Status.Initialization.Provisioned, false) {
		return nil
	}
	before := machine.DeepCopy()
	machine.Spec.ProviderID = ptr.Deref(maasMachine.Spec.ProviderID, "")
	if err := s.Client.Patch(ctx, machine, client.MergeFrom(before)); err != nil {
		return fmt.Errorf("copy the provider id of %s: %w", machine.Name, err)
	}
	before = machine.DeepCopy()
	machine.Status.Initialization.InfrastructureProvisioned = new(true)
	machine.Status.Addresses = maasMachine.Status.Addresses
	machine.Status.FailureDomain = maasMachine.Status.FailureDomain
	machine.Status.Phase = string(clusterv1.MachinePhaseProvisioned)
	if util.IsControlPlaneMachine(machine) {
		healthy := metav1.Condition{
			Type: controlplanev1.KubeadmControlPlaneMachineAPIServerPodHealthyCondition, Status: metav1.ConditionTrue,
			Reason: "Running", Message: "said by the stand-in: no API server runs on the machine",
		}
		if conditions.GetReason(&maasMachine, infrav1.MachineDeployedCondition) == infrav1.MachinePoweredOffReason {
			healthy.Status, healthy.Reason = metav1.ConditionFalse, "PoweredOff"
		}
		conditions.Set(machine, healthy)
	}
	if err := s.Client.Status().Patch(ctx, machine, client.MergeFrom(before)); err != nil {
		return fmt.Errorf("copy the status of %s: %w", machine.Name, err)
	}
	return nil
}

// deleteCluster goes in core's order: machines, then the infrastructure, then the Cluster.
func (s *StandIn) deleteCluster(ctx context.Context, cluster *clusterv1.Cluster, machines []clusterv1.Machine) error {
	var errs []error
	for i := range machines {
		m := &machines[i]
		if m.DeletionTimestamp.IsZero() {
			errs = append(errs, s.Client.Delete(ctx, m))
			continue
		}
		errs = append(errs, s.deleteMachine(ctx, m))
	}
	if len(machines) > 0 {
		return errors.Join(errs...)
	}
	return s.deleteOwned(ctx, cluster, infra(cluster.Spec.InfrastructureRef, ""))
}

func (s *StandIn) deleteMachine(ctx context.Context, machine *clusterv1.Machine) error {
	return s.deleteOwned(ctx, machine, infra(machine.Spec.InfrastructureRef, ""))
}

// deleteOwned deletes owned and, once it is gone, lets owner go.
func (s *StandIn) deleteOwned(ctx context.Context, owner client.Object, owned *reference) error {
	u, err := s.get(ctx, owner.GetNamespace(), owned)
	switch {
	case apierrors.IsNotFound(err):
		controllerutil.RemoveFinalizer(owner, finalizer)
		return s.Client.Update(ctx, owner)
	case err != nil:
		return err
	case u.GetDeletionTimestamp().IsZero():
		return s.Client.Delete(ctx, u)
	}
	return nil
}

type reference struct {
	gvk     schema.GroupVersionKind
	name    string
	cluster string
}

// infra resolves a contract reference; our kinds are served as v1beta1 alone.
func infra(ref clusterv1.ContractVersionedObjectReference, cluster string) *reference {
	return &reference{gvk: infrav1.GroupVersion.WithKind(ref.Kind), name: ref.Name, cluster: cluster}
}

func (s *StandIn) get(ctx context.Context, namespace string, ref *reference) (*unstructured.Unstructured, error) {
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(ref.gvk)
	if err := s.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: ref.name}, u); err != nil {
		return nil, fmt.Errorf("get %s %s: %w", ref.gvk.Kind, ref.name, err)
	}
	return u, nil
}

// ignoreRaces drops what the next pass mends: somebody was faster.
func ignoreRaces(err error) error {
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// Bootstrap makes a bootstrap secret as a bootstrap provider leaves it.
func Bootstrap(namespace, name, cluster string, userData []byte) *corev1.Secret {
	secret := &corev1.Secret{Type: clusterv1.ClusterSecretType, Data: map[string][]byte{"value": userData, "format": []byte("cloud-config")}}
	secret.Namespace, secret.Name = namespace, name
	secret.Labels = map[string]string{clusterv1.ClusterNameLabel: cluster}
	return secret
}
