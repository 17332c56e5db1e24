package scenario

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/capmaas/capmaas/test/e2e/internal/evidence"
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
		errs = append(errs, evidence.MAAS(r.sim.Sim, r.fleet.On(), filepath.Join(dir, "maas.json")))
	}
	if r.management == nil || r.management.Client == nil {
		return errors.Join(errs...)
	}
	for _, c := range r.managements() { // a move may have ended between them
		if c.Client != nil {
			errs = append(errs, evidence.Objects(ctx, c.Config, filepath.Join(dir, filepath.Base(c.Dir))))
		}
	}
	secret := &corev1.Secret{}
	if err := r.management.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: clusterName + "-kubeconfig"}, secret); err == nil {
		config, err := clientcmd.RESTConfigFromKubeConfig(secret.Data["value"])
		if err == nil {
			err = evidence.Objects(ctx, config, filepath.Join(dir, "workload"))
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
