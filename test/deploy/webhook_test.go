package deploy_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	managerapp "github.com/capmaas/capmaas/controllers/app"
)

func TestWebhooks_P8_reach_the_manager_through_their_Service(t *testing.T) {
	t.Parallel()
	all := build(t, "default")
	manager := managerOf(t, decode[appsv1.Deployment](t, all, "Deployment"))
	options := managerapp.DefaultOptions()
	flags := newFlags()
	options.AddFlags(flags)
	container := manager.Spec.Template.Spec.Containers[0]
	require.NoError(t, flags.Parse(container.Args))

	configs := webhooksOf(t)
	require.NotEmpty(t, configs)
	services := map[string]corev1.Service{}
	for _, s := range decode[corev1.Service](t, all, "Service") {
		services[s.Namespace+"/"+s.Name] = s
	}
	for name, hook := range configs {
		require.NotNil(t, hook.Service, name)
		service, known := services[hook.Service.Namespace+"/"+hook.Service.Name]
		require.True(t, known, "%s asks Service %s/%s, which there is not", name, hook.Service.Namespace, hook.Service.Name)
		assert.True(t, labels.SelectorFromSet(service.Spec.Selector).Matches(labels.Set(manager.Spec.Template.Labels)), name)
		require.Len(t, service.Spec.Ports, 1)
		assert.EqualValues(t, 443, service.Spec.Ports[0].Port, "where the API server asks unless it is told another port")
		assert.Contains(t, container.Ports, corev1.ContainerPort{
			Name: service.Spec.Ports[0].TargetPort.StrVal, ContainerPort: int32(options.WebhookPort),
		}, "--webhook-port=%d", options.WebhookPort)
	}
}

func TestWebhooks_P8_are_trusted_by_the_certificate_that_cert_manager_makes(t *testing.T) {
	t.Parallel()
	all := build(t, "default")
	made := certificateOf(t, all, "capmaas-webhook-service-cert")
	pod := managerOf(t, decode[appsv1.Deployment](t, all, "Deployment")).Spec.Template.Spec
	mounted := ""
	for _, volume := range pod.Volumes {
		if volume.Secret != nil && volume.Secret.SecretName == made.Spec.SecretName {
			mounted = volume.Name
		}
	}
	require.NotEmpty(t, mounted, "the manager mounts the Secret %s", made.Spec.SecretName)
	assert.Contains(t, pod.Containers[0].VolumeMounts, corev1.VolumeMount{
		Name: mounted, ReadOnly: true, MountPath: strings.TrimSuffix(managerapp.DefaultOptions().WebhookCertDir, "/"),
	})
	for name, hook := range webhooksOf(t) {
		assert.Contains(t, made.Spec.DNSNames, hook.Service.Name+"."+hook.Service.Namespace+".svc", name)
	}
	wanted, injected, issued := made.Namespace+"/"+made.Name, 0, false
	for _, r := range all.Resources() {
		if strings.HasSuffix(r.GetKind(), "WebhookConfiguration") {
			injected++
			assert.Equal(t, wanted, r.GetAnnotations()["cert-manager.io/inject-ca-from"], r.GetKind())
		}
		issued = issued || r.GetKind() == made.Spec.IssuerRef.Kind && r.GetName() == made.Spec.IssuerRef.Name
	}
	assert.Equal(t, 2, injected)
	assert.True(t, issued, "the Certificate names an Issuer that is there")
}

func TestWebhooks_P8_ask_about_every_kind_and_about_no_deletion(t *testing.T) {
	t.Parallel()
	all := build(t, "default")
	asked := map[string]bool{}
	for _, config := range decode[admissionv1.ValidatingWebhookConfiguration](t, all, "ValidatingWebhookConfiguration") {
		for _, hook := range config.Webhooks {
			require.Len(t, hook.Rules, 1)
			assert.Equal(t, admissionv1.Fail, *hook.FailurePolicy, hook.Name)
			assert.ElementsMatch(t, []admissionv1.OperationType{admissionv1.Create, admissionv1.Update}, hook.Rules[0].Operations, hook.Name)
			require.Len(t, hook.Rules[0].Resources, 1)
			asked[hook.Rules[0].Resources[0]] = true
			assert.True(t, strings.HasSuffix(*hook.ClientConfig.Service.Path, "-"+strings.TrimSuffix(hook.Rules[0].Resources[0], "s")), hook.Name)
			require.Len(t, hook.MatchConditions, 1, hook.Name)
			assert.Contains(t, hook.MatchConditions[0].Expression, "object.?spec != oldObject.?spec", "finalizers go without asking: %s", hook.Name)
		}
	}
	crds, err := filepath.Glob("../../deploy/crd/bases/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, crds)
	for _, file := range crds {
		_, plural, _ := strings.Cut(strings.TrimSuffix(filepath.Base(file), ".yaml"), "_")
		assert.True(t, asked[plural], "no webhook asks about %s", plural)
	}
}

// webhooksOf gives the client configuration of every webhook by its name.
func webhooksOf(t *testing.T) map[string]admissionv1.WebhookClientConfig {
	t.Helper()
	all := build(t, "default")
	hooks := map[string]admissionv1.WebhookClientConfig{}
	for _, config := range decode[admissionv1.MutatingWebhookConfiguration](t, all, "MutatingWebhookConfiguration") {
		for _, hook := range config.Webhooks {
			hooks[hook.Name] = hook.ClientConfig
		}
	}
	for _, config := range decode[admissionv1.ValidatingWebhookConfiguration](t, all, "ValidatingWebhookConfiguration") {
		for _, hook := range config.Webhooks {
			hooks[hook.Name] = hook.ClientConfig
		}
	}
	return hooks
}

func managerOf(t *testing.T, all []appsv1.Deployment) appsv1.Deployment {
	t.Helper()
	for _, d := range all {
		if strings.HasSuffix(d.Name, "controller-manager") {
			return d
		}
	}
	require.Fail(t, "no Deployment of the manager")
	return appsv1.Deployment{}
}
