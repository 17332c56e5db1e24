package deploy_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/capmaas/capmaas/test/apiserver"
)

func TestPods_run_without_rights_that_they_do_not_need(t *testing.T) {
	t.Parallel()
	for _, overlay := range overlays {
		t.Run(overlay, func(t *testing.T) {
			t.Parallel()
			for _, d := range decode[appsv1.Deployment](t, build(t, overlay), "Deployment") {
				assertConfined(t, d.Name, &d.Spec.Template.Spec)
				if strings.Contains(d.Name, "lxdprovisioner") {
					require.NotNil(t, d.Spec.Template.Spec.AutomountServiceAccountToken, "the service needs no Kubernetes")
					assert.False(t, *d.Spec.Template.Spec.AutomountServiceAccountToken, "the service needs no Kubernetes")
				}
			}
		})
	}
}

func assertConfined(t *testing.T, name string, pod *corev1.PodSpec) {
	t.Helper()
	require.NotNil(t, pod.SecurityContext, name)
	assert.True(t, *pod.SecurityContext.RunAsNonRoot, name)
	assert.Equal(t, corev1.SeccompProfileTypeRuntimeDefault, pod.SecurityContext.SeccompProfile.Type, name)
	assert.Empty(t, pod.InitContainers, name)
	for _, c := range pod.Containers {
		require.NotNil(t, c.SecurityContext, name)
		assert.Positive(t, *c.SecurityContext.RunAsUser, name)
		assert.True(t, *c.SecurityContext.ReadOnlyRootFilesystem, name)
		assert.False(t, *c.SecurityContext.AllowPrivilegeEscalation, name)
		assert.Equal(t, []corev1.Capability{"ALL"}, c.SecurityContext.Capabilities.Drop, name)
		assert.NotZero(t, c.Resources.Requests.Cpu().MilliValue(), name)
		assert.NotZero(t, c.Resources.Limits.Memory().Value(), name)
		require.NotNil(t, c.LivenessProbe, name)
		require.NotNil(t, c.ReadinessProbe, name)
	}
	for _, v := range pod.Volumes {
		if v.Secret != nil && v.Secret.DefaultMode != nil && *v.Secret.DefaultMode&0o004 == 0 {
			require.NotNil(t, pod.SecurityContext.FSGroup, "%s: only the group may read %s", name, v.Name)
			assert.Equal(t, *pod.Containers[0].SecurityContext.RunAsGroup, *pod.SecurityContext.FSGroup, name)
		}
	}
}

// measured is the row of docs/performance.md with the memory of a thousand machines in flight.
var measured = regexp.MustCompile(`(?m)^\| 1,000 \| (\d+) \| (\d+) \| (\d+) \|$`)

func TestPods_ask_for_the_memory_that_was_measured(t *testing.T) {
	t.Parallel()
	root, err := apiserver.Tree()
	require.NoError(t, err)
	page, err := os.ReadFile(filepath.Join(root, "docs", "performance.md"))
	require.NoError(t, err)
	row := measured.FindSubmatch(page)
	require.NotNil(t, row, "docs/performance.md says what 1,000 machines take")
	for _, d := range decode[appsv1.Deployment](t, build(t, "release"), "Deployment") {
		column := 2
		if strings.Contains(d.Name, "lxdprovisioner") {
			column = 1
		}
		mib, err := strconv.ParseInt(string(row[column]), 10, 64)
		require.NoError(t, err)
		asked := d.Spec.Template.Spec.Containers[0].Resources.Requests.Memory().Value() >> 20
		assert.GreaterOrEqual(t, asked, mib, d.Name)
	}
}

func TestService_outlives_the_loss_of_a_node(t *testing.T) {
	t.Parallel()
	for _, overlay := range []string{"default", "release", "namespaced"} {
		all := build(t, overlay)
		service := serviceOf(t, decode[appsv1.Deployment](t, all, "Deployment"))
		assert.GreaterOrEqual(t, *service.Spec.Replicas, int32(2), overlay)
		assert.Zero(t, service.Spec.Strategy.RollingUpdate.MaxUnavailable.IntValue(), overlay)
		pod := service.Spec.Template
		terms := pod.Spec.Affinity.PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution
		require.NotEmpty(t, terms, overlay)
		assert.Equal(t, corev1.LabelHostname, terms[0].PodAffinityTerm.TopologyKey, "hosts before zones")
		for _, term := range terms {
			assert.True(t, labels.SelectorFromSet(term.PodAffinityTerm.LabelSelector.MatchLabels).Matches(labels.Set(pod.Labels)), overlay)
		}
		budgets := decode[policyv1.PodDisruptionBudget](t, all, "PodDisruptionBudget")
		require.Len(t, budgets, 1, overlay)
		assert.True(t, labels.SelectorFromSet(budgets[0].Spec.Selector.MatchLabels).Matches(labels.Set(pod.Labels)), overlay)
		assert.Less(t, budgets[0].Spec.MaxUnavailable.IntValue(), int(*service.Spec.Replicas), overlay)
	}
}

// TestProbes holds the probes of the service against the port where it serves health to whoever asks.
func TestProbes_of_the_service_ask_where_no_certificate_is_needed(t *testing.T) {
	t.Parallel()
	for _, overlay := range overlays {
		_, told := parse(t, overlay)
		container := serviceOf(t, decode[appsv1.Deployment](t, build(t, overlay), "Deployment")).Spec.Template.Spec.Containers[0]
		for _, probe := range []*corev1.Probe{container.LivenessProbe, container.ReadinessProbe} {
			require.NotNil(t, probe.GRPC, overlay)
			assert.Equal(t, told.HealthAddr, fmt.Sprintf(":%d", probe.GRPC.Port), overlay)
			assert.Empty(t, probe.GRPC.Service, "the name maas tells of MAAS, which is no reason to restart")
		}
	}
}

func serviceOf(t *testing.T, all []appsv1.Deployment) appsv1.Deployment {
	t.Helper()
	for _, d := range all {
		if strings.HasSuffix(d.Name, "lxdprovisioner") {
			return d
		}
	}
	require.Fail(t, "no Deployment of the service")
	return appsv1.Deployment{}
}
