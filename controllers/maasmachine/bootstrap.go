package maasmachine

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/capmaas/capmaas/controllers/internal/provisioner"
	"github.com/capmaas/capmaas/proto/errorinfo"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// The keys of a bootstrap Secret, by Cluster API's contract, and the formats that a MAAS image can read.
const (
	secretValue     = "value"
	secretFormat    = "format"
	formatCloudInit = "cloud-config"
	formatIgnition  = "ignition"
)

// waitForInfrastructure waits until the cluster has its endpoint and its id, which stands on everything in MAAS.
func (r *Reconciler) waitForInfrastructure(_ context.Context, s *scope) (step, error) {
	if !ptr.Deref(s.cluster.Status.Initialization.InfrastructureProvisioned, false) {
		return s.waitAt(stageInfrastructure, "waiting for the cluster's infrastructure"), nil
	}
	if clusterIDOf(s) == "" {
		return s.waitAt(stageInfrastructure, "waiting for the MaasCluster's id"), nil
	}
	return proceed, nil
}

// readBootstrapData reads the user data, uncached: a Secret with join tokens is needed once and stays in no cache.
func (r *Reconciler) readBootstrapData(ctx context.Context, s *scope) (step, error) {
	name := ptr.Deref(s.owner.Spec.Bootstrap.DataSecretName, "")
	if name == "" {
		return s.waitAt(stageBootstrap, "waiting for the bootstrap provider to name the Secret with the user data"), nil
	}
	secret := &corev1.Secret{}
	if err := r.Client.Get(ctx, client.ObjectKey{Namespace: s.owner.Namespace, Name: name}, secret); err != nil {
		if apierrors.IsNotFound(err) {
			s.waitAt(stageBootstrap, fmt.Sprintf("waiting for Secret %s with the user data", name))
			return stopFor(r.Delays.Working), nil
		}
		return step{}, fmt.Errorf("get bootstrap Secret %s/%s: %w", s.owner.Namespace, name, err)
	}
	if problem := badUserData(secret); problem != "" {
		return r.stopped(ctx, s, stageBootstrap, r.refusal(lxdprovisionerv1.Reason_REASON_BAD_USER_DATA,
			fmt.Sprintf("Secret %s: %s", name, problem))), nil
	}
	s.userData = secret.Data[secretValue]
	return proceed, nil
}

// badUserData says what is wrong with a bootstrap Secret; MAAS itself checks nothing of it.
func badUserData(secret *corev1.Secret) string {
	if len(secret.Data[secretValue]) == 0 {
		return "the key value is empty"
	}
	switch format := string(secret.Data[secretFormat]); format {
	case "", formatCloudInit, formatIgnition:
		return ""
	default:
		return fmt.Sprintf("the format %q is unknown; cloud-config and ignition are known", format)
	}
}

// refusal is the outcome of something that we refuse ourselves, before the service would.
func (r *Reconciler) refusal(reason lxdprovisionerv1.Reason, message string) provisioner.Outcome {
	return provisioner.Outcome{
		Action: provisioner.Blocked, Reason: errorinfo.Word(reason), Message: message, Delay: r.Delays.Blocked,
	}
}
