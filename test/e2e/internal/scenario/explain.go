package scenario

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/capmaas/capmaas/test/e2e/internal/world"
)

// Explain says how to reach what is left running, the cluster itself included if there is one.
func (r *Run) Explain(ctx context.Context) error {
	kubectl := "nsenter --target " + world.PID() + " --net --mount " + filepath.Join(r.Assets, "kubectl") + " --kubeconfig "
	told := "everything keeps running until Ctrl-C. In another shell:\n  " + kubectl + r.management.Kubeconfig + " get clusters,machines,maasmachines -A"
	secret := &corev1.Secret{}
	err := r.management.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: clusterName + "-kubeconfig"}, secret)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("get the cluster's kubeconfig: %w", err)
	}
	if err == nil {
		workload := filepath.Join(r.Work, "workload.kubeconfig")
		if err := os.WriteFile(workload, secret.Data["value"], 0o600); err != nil {
			return fmt.Errorf("write the cluster's kubeconfig: %w", err)
		}
		told += "\n  " + kubectl + workload + " get nodes,pods -A"
	}
	r.Timeline.Sayf("%s", told)
	return nil
}

// Requests is how many requests MAAS has admitted since the run began.
func (r *Run) Requests() int {
	sum := 0
	for _, n := range r.sim.Requests() {
		sum += n
	}
	return sum
}
