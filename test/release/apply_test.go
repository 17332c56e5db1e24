package release_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
)

// TestRelease applies what clusterctl renders. The components come last: once their webhooks are registered, nobody
// answers for our kinds.
func TestRelease_is_applied_by_an_API_server_that_checks_every_field(t *testing.T) {
	require.NoError(t, installForeign())
	for _, flavor := range flavors(t) {
		t.Run("template_"+flavor, func(t *testing.T) {
			applied := apply(t, generateCluster(t, flavor, examples(t, flavor)))
			assert.Contains(t, applied, "cluster.cluster.x-k8s.io/"+clusterName)
		})
	}
	t.Run("components_as_they_are", func(t *testing.T) { // clusterctl silently drops fields of Deployments that it doesn't know
		text, err := os.ReadFile(filepath.Join(dist(t), "infrastructure-components.yaml"))
		require.NoError(t, err)
		apply(t, variable.ReplaceAllStringFunc(string(text), func(found string) string {
			return credentials[variable.FindStringSubmatch(found)[1]]
		}))
	})
	t.Run("components_by_clusterctl", func(t *testing.T) {
		text := clusterctl(t, credentials, "generate", "provider", "--infrastructure", "maas:"+version)
		applied := apply(t, text)
		assert.Contains(t, applied, "certificate.cert-manager.io/capmaas-lxdprovisioner")
		assert.Contains(t, applied, "networkpolicy.networking.k8s.io/")
		client, err := kubernetes.NewForConfig(server.Config)
		require.NoError(t, err)
		for _, object := range decode(t, text) {
			if object.GetKind() != "Deployment" {
				continue
			}
			var deployment appsv1.Deployment
			require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &deployment))
			// The namespace enforces the restricted standard on pods, not on what makes them.
			pod := &corev1.Pod{ObjectMeta: deployment.Spec.Template.ObjectMeta, Spec: deployment.Spec.Template.Spec}
			pod.Name = deployment.Name
			_, err := client.CoreV1().Pods(deployment.Namespace).Create(t.Context(), pod, metav1.CreateOptions{
				DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict,
			})
			assert.NoError(t, err, deployment.Name)
		}
	})
}

// apply gives the lines that kubectl prints, one for each object that the API server took without a complaint.
func apply(t *testing.T, text string) string {
	t.Helper()
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, os.WriteFile(kubeconfig, server.Kubeconfig, 0o600))
	kubectl := filepath.Join(os.Getenv("KUBEBUILDER_ASSETS"), "kubectl")
	return run(t, text, nil, kubectl, "--kubeconfig", kubeconfig, "--warnings-as-errors",
		"apply", "--server-side", "--force-conflicts", "--validate=strict", "--output=name", "--filename=-")
}
