package manifest_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/capmaas/capmaas/test/e2e/internal/manifest"
)

const provider = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.example.com}
spec:
  conversion:
    strategy: Webhook
    webhook:
      clientConfig:
        service: {name: webhook, namespace: system, path: /convert}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: validating}
webhooks:
- name: one
  clientConfig:
    service: {name: webhook, namespace: system, path: /validate}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: manager, namespace: system}
spec: {template: {spec: {serviceAccountName: account}}}
---
apiVersion: v1
kind: Service
metadata: {name: webhook, namespace: system}
`

func TestRead_turns_the_webhook_service_into_urls(t *testing.T) {
	t.Parallel()

	p, err := manifest.Read([]byte(provider), "manager", manifest.Endpoint{Port: 9443, Authority: []byte("pem")})

	require.NoError(t, err)
	assert.Equal(t, "system:serviceaccount:system:account", p.User)
	require.Len(t, p.Objects, 1, "the Deployment and the Service stay away")
	url, _, _ := unstructured.NestedString(p.Objects[0].Object, "spec", "conversion", "webhook", "clientConfig", "url")
	assert.Equal(t, "https://127.0.0.1:9443/convert", url)
	require.Len(t, p.Webhooks, 1)
	webhooks, _, _ := unstructured.NestedSlice(p.Webhooks[0].Object, "webhooks")
	require.Len(t, webhooks, 1)
	assert.Equal(t, map[string]any{"url": "https://127.0.0.1:9443/validate", "caBundle": "cGVt"}, webhooks[0].(map[string]any)["clientConfig"])
}

func TestRead_wants_the_managers_deployment(t *testing.T) {
	t.Parallel()

	_, err := manifest.Read([]byte(provider), "other", manifest.Endpoint{Port: 9443})

	require.ErrorContains(t, err, "other")
}
