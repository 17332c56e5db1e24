package deploy_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/kustomize/api/resmap"
)

// monitor is what is read of a ServiceMonitor or PodMonitor of the Prometheus Operator.
type monitor struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Selector            metav1.LabelSelector `json:"selector"`
		Endpoints           []endpoint           `json:"endpoints"`
		PodMetricsEndpoints []endpoint           `json:"podMetricsEndpoints"`
	} `json:"spec"`
}

type endpoint struct {
	Port        string `json:"port"`
	Interval    string `json:"interval"`
	HonorLabels bool   `json:"honorLabels"`
	Scheme      string `json:"scheme"`
	TLSConfig   struct {
		InsecureSkipVerify bool `json:"insecureSkipVerify"`
	} `json:"tlsConfig"`
	Authorization struct {
		Type        string                   `json:"type"`
		Credentials corev1.SecretKeySelector `json:"credentials"`
	} `json:"authorization"`
}

func TestMonitoring_scrapes_a_port_of_each_program(t *testing.T) {
	t.Parallel()
	for overlay, monitoring := range map[string]struct {
		name, scheme string
	}{
		"default":    {"monitoring", "https"},
		"namespaced": {"monitoring-namespaced", "http"},
	} {
		t.Run(overlay, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, []string{"capmaas-lxdprovisioner metrics", "capmaas-controller-manager diagnostics"},
				scraped(t, build(t, monitoring.name), build(t, overlay), monitoring.scheme))
		})
	}
}

// scraped gives the ports of the provider that the monitors select.
func scraped(t *testing.T, monitoring, provider resmap.ResMap, scheme string) []string {
	t.Helper()
	for _, r := range monitoring.Resources() {
		if r.GetNamespace() != "" {
			assert.Equal(t, "capmaas-system", r.GetNamespace(), "%s %s: monitors look into their own namespace", r.GetKind(), r.GetName())
		}
	}
	var ports []string
	for _, m := range decode[monitor](t, monitoring, "ServiceMonitor") {
		for _, s := range decode[corev1.Service](t, provider, "Service") {
			for _, p := range s.Spec.Ports {
				if selects(m, s.Labels) && p.Name == m.Spec.Endpoints[0].Port {
					assert.Empty(t, m.Spec.Endpoints[0].Scheme, "the service serves its metrics in the clear")
					ports = append(ports, s.Name+" "+p.Name)
				}
			}
		}
	}
	for _, m := range decode[monitor](t, monitoring, "PodMonitor") {
		for _, d := range decode[appsv1.Deployment](t, provider, "Deployment") {
			for _, p := range d.Spec.Template.Spec.Containers[0].Ports {
				if selects(m, d.Spec.Template.Labels) && p.Name == m.Spec.PodMetricsEndpoints[0].Port {
					assert.Equal(t, scheme, m.Spec.PodMetricsEndpoints[0].Scheme)
					ports = append(ports, d.Name+" "+p.Name)
				}
			}
		}
	}
	return ports
}

func TestMonitoring_of_a_namespaced_manager_shows_no_token(t *testing.T) {
	t.Parallel()
	monitoring := build(t, "monitoring-namespaced")
	assert.Zero(t, decode[monitor](t, monitoring, "PodMonitor")[0].Spec.PodMetricsEndpoints[0].Authorization)
	for _, r := range monitoring.Resources() {
		assert.NotContains(t, []string{"ServiceAccount", "Secret", "ClusterRoleBinding"}, r.GetKind(), r.GetName())
	}
}

// TestMonitoring_token follows the token from the scrape to the right to read /metrics.
func TestMonitoring_token_is_that_of_an_account_that_may_read_metrics(t *testing.T) {
	t.Parallel()
	monitoring, provider := build(t, "monitoring"), build(t, "default")
	shown := decode[monitor](t, monitoring, "PodMonitor")[0].Spec.PodMetricsEndpoints[0].Authorization
	assert.Equal(t, "Bearer", shown.Type)
	token := shown.Credentials
	secrets := decode[corev1.Secret](t, monitoring, "Secret")
	require.Len(t, secrets, 1)
	assert.Equal(t, token.Name, secrets[0].Name)
	assert.Equal(t, corev1.ServiceAccountTokenKey, token.Key)
	assert.Equal(t, corev1.SecretTypeServiceAccountToken, secrets[0].Type)
	accounts := decode[corev1.ServiceAccount](t, monitoring, "ServiceAccount")
	require.Len(t, accounts, 1)
	assert.Equal(t, accounts[0].Name, secrets[0].Annotations[corev1.ServiceAccountNameKey])
	bindings := decode[rbacv1.ClusterRoleBinding](t, monitoring, "ClusterRoleBinding")
	require.Len(t, bindings, 1)
	assert.Equal(t, []rbacv1.Subject{{Kind: "ServiceAccount", Name: accounts[0].Name, Namespace: accounts[0].Namespace}}, bindings[0].Subjects)
	var roles []string
	for _, role := range decode[rbacv1.ClusterRole](t, provider, "ClusterRole") {
		roles = append(roles, role.Name)
	}
	assert.Contains(t, roles, bindings[0].RoleRef.Name)
}

func TestMonitoring_dashboards_are_found_by_the_sidecar_of_Grafana(t *testing.T) {
	t.Parallel()
	maps := decode[corev1.ConfigMap](t, build(t, "monitoring"), "ConfigMap")
	require.Len(t, maps, 1)
	assert.Equal(t, "1", maps[0].Labels["grafana_dashboard"])
	assert.Len(t, maps[0].Data, 3)
	for name, text := range maps[0].Data {
		assert.True(t, json.Valid([]byte(text)), name)
	}
}

func selects(m monitor, of map[string]string) bool {
	return labels.SelectorFromSet(m.Spec.Selector.MatchLabels).Matches(labels.Set(of))
}
