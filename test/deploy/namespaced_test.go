package deploy_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	managerapp "github.com/capmaas/capmaas/controllers/app"
)

// TestNamespaced holds the overlay against deploy/default: the manager has the same rights, in one namespace alone.
func TestNamespaced_R6_3_the_manager_has_rights_in_its_namespace_alone(t *testing.T) {
	t.Parallel()
	everywhere, overlay := build(t, "default"), build(t, "namespaced")
	for _, r := range overlay.Resources() {
		assert.NotContains(t, r.GetKind(), "ClusterRole", r.GetName())
	}
	options := managerapp.DefaultOptions()
	flags := newFlags()
	options.AddFlags(flags)
	manager := managerOf(t, decode[appsv1.Deployment](t, overlay, "Deployment"))
	require.NoError(t, flags.Parse(manager.Spec.Template.Spec.Containers[0].Args))
	require.NotEmpty(t, options.Namespace)
	require.NoError(t, options.Validate())

	assert.True(t, options.InsecureDiagnostics, "asking who may read the metrics takes rights in the whole cluster")

	var wanted []rbacv1.PolicyRule
	for _, role := range decode[rbacv1.ClusterRole](t, everywhere, "ClusterRole") {
		if role.Name == "capmaas-manager-role" {
			wanted = role.Rules
		}
	}
	require.NotEmpty(t, wanted)
	roles := map[string]rbacv1.Role{}
	for _, role := range decode[rbacv1.Role](t, overlay, "Role") {
		if role.Namespace == options.Namespace {
			roles[role.Name] = role
		}
	}
	bound := false
	for _, binding := range decode[rbacv1.RoleBinding](t, overlay, "RoleBinding") {
		if binding.Namespace != options.Namespace {
			continue
		}
		bound = true
		assert.Equal(t, "Role", binding.RoleRef.Kind)
		assert.Equal(t, wanted, roles[binding.RoleRef.Name].Rules, binding.RoleRef.Name)
		require.Len(t, binding.Subjects, 1)
		assert.Equal(t, rbacv1.Subject{Kind: "ServiceAccount", Name: manager.Spec.Template.Spec.ServiceAccountName, Namespace: manager.Namespace}, binding.Subjects[0])
	}
	assert.True(t, bound, "a RoleBinding in %s", options.Namespace)
	accounts := map[string]bool{}
	for _, account := range decode[corev1.ServiceAccount](t, overlay, "ServiceAccount") {
		accounts[account.Namespace+"/"+account.Name] = true
	}
	assert.True(t, accounts[manager.Namespace+"/"+manager.Spec.Template.Spec.ServiceAccountName])

	selector := &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: options.Namespace}}
	for _, config := range decode[admissionv1.MutatingWebhookConfiguration](t, overlay, "MutatingWebhookConfiguration") {
		for _, hook := range config.Webhooks {
			assert.Equal(t, selector, hook.NamespaceSelector, hook.Name)
		}
	}
	for _, config := range decode[admissionv1.ValidatingWebhookConfiguration](t, overlay, "ValidatingWebhookConfiguration") {
		for _, hook := range config.Webhooks {
			assert.Equal(t, selector, hook.NamespaceSelector, hook.Name)
		}
	}
}
