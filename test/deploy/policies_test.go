package deploy_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// maasPorts are those at which a MAAS itself listens.
var maasPorts = []int{5240, 5443}

func TestPolicies_select_pods_and_ports_that_exist(t *testing.T) {
	t.Parallel()
	for _, overlay := range overlays {
		t.Run(overlay, func(t *testing.T) {
			t.Parallel()
			all := build(t, overlay)
			pods := templates(decode[appsv1.Deployment](t, all, "Deployment"))
			guarded := 0
			for _, policy := range decode[networkingv1.NetworkPolicy](t, all, "NetworkPolicy") {
				targets := selected(pods, &policy.Spec.PodSelector)
				require.Len(t, targets, 1, "%s is for one kind of pod", policy.Name)
				guarded += len(targets)
				assert.ElementsMatch(t, []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress}, policy.Spec.PolicyTypes, policy.Name)
				for _, rule := range policy.Spec.Ingress {
					assertPeers(t, pods, rule.From)
					assertPorts(t, targets, rule.Ports)
				}
				for _, rule := range policy.Spec.Egress {
					assertPeers(t, pods, rule.To)
					for _, peer := range rule.To {
						assertPorts(t, selected(pods, peer.PodSelector), rule.Ports)
					}
				}
			}
			assert.Equal(t, len(pods), guarded, "every pod has a policy")
		})
	}
}

func TestPolicies_let_the_manager_alone_reach_the_service_and_the_service_alone_reach_MAAS(t *testing.T) {
	t.Parallel()
	all := build(t, "release")
	pods := templates(decode[appsv1.Deployment](t, all, "Deployment"))
	toMAAS := map[string]bool{}
	for _, policy := range decode[networkingv1.NetworkPolicy](t, all, "NetworkPolicy") {
		component := selected(pods, &policy.Spec.PodSelector)[0].Labels["app.kubernetes.io/component"]
		for _, rule := range policy.Spec.Egress {
			require.NotEmpty(t, rule.Ports, "%s may go everywhere", policy.Name)
			for _, port := range rule.Ports {
				for _, maas := range maasPorts {
					toMAAS[component] = toMAAS[component] || *port.Port == intstr.FromInt(maas)
				}
			}
		}
		for _, rule := range policy.Spec.Ingress {
			require.NotEmpty(t, rule.Ports, "%s lets everything in", policy.Name)
			for _, port := range rule.Ports {
				if component != "lxdprovisioner" || named(selected(pods, &policy.Spec.PodSelector), port) != "grpc" {
					continue
				}
				require.Len(t, rule.From, 1)
				from := selected(pods, rule.From[0].PodSelector)
				require.Len(t, from, 1)
				assert.Equal(t, "manager", from[0].Labels["app.kubernetes.io/component"])
				assert.Nil(t, rule.From[0].NamespaceSelector)
			}
		}
	}
	assert.Equal(t, map[string]bool{"lxdprovisioner": true, "manager": false}, toMAAS)
}

// TestPolicies_metrics asserts the explicit choice of who may scrape.
func TestPolicies_let_labelled_namespaces_alone_read_metrics(t *testing.T) {
	t.Parallel()
	found := 0
	all := build(t, "release")
	pods := templates(decode[appsv1.Deployment](t, all, "Deployment"))
	for _, policy := range decode[networkingv1.NetworkPolicy](t, all, "NetworkPolicy") {
		for _, rule := range policy.Spec.Ingress {
			for _, port := range rule.Ports {
				if name := named(selected(pods, &policy.Spec.PodSelector), port); name != "metrics" && name != "diagnostics" {
					continue
				}
				found++
				assert.Equal(t, []networkingv1.NetworkPolicyPeer{{
					NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"metrics": "enabled"}},
				}}, rule.From, policy.Name)
			}
		}
	}
	assert.Equal(t, 2, found, "the manager's and the service's")
}

func templates(all []appsv1.Deployment) []corev1.PodTemplateSpec {
	pods := make([]corev1.PodTemplateSpec, 0, len(all))
	for _, d := range all {
		pods = append(pods, d.Spec.Template)
	}
	return pods
}

// selected gives the pods that a selector of labels names; all of them where there is none.
func selected(pods []corev1.PodTemplateSpec, selector *metav1.LabelSelector) []corev1.PodTemplateSpec {
	var chosen []corev1.PodTemplateSpec
	for _, pod := range pods {
		if selector == nil || labels.SelectorFromSet(selector.MatchLabels).Matches(labels.Set(pod.Labels)) {
			chosen = append(chosen, pod)
		}
	}
	return chosen
}

func assertPeers(t *testing.T, pods []corev1.PodTemplateSpec, peers []networkingv1.NetworkPolicyPeer) {
	t.Helper()
	for _, peer := range peers {
		if peer.PodSelector != nil {
			assert.NotEmpty(t, selected(pods, peer.PodSelector), "no pod has %v", peer.PodSelector.MatchLabels)
		}
	}
}

// assertPorts looks for each port at pods of ours.
func assertPorts(t *testing.T, pods []corev1.PodTemplateSpec, ports []networkingv1.NetworkPolicyPort) {
	t.Helper()
	for _, port := range ports {
		assert.Equal(t, intstr.Int, port.Port.Type, "%s: OVN-Kubernetes knows no names of ports", port.Port)
		assert.NotEmpty(t, named(pods, port), "no pod has the port %s", port.Port)
	}
}

// named gives the name that the first of the pods with the port has for it; empty where none has it.
func named(pods []corev1.PodTemplateSpec, port networkingv1.NetworkPolicyPort) string {
	for _, pod := range pods {
		for _, p := range pod.Spec.Containers[0].Ports {
			if p.ContainerPort == port.Port.IntVal {
				return p.Name
			}
		}
	}
	return ""
}
