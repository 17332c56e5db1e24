package maaslxd_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/capmaas/capmaas/services/maassim"
)

// report is what programs read of the doctor.
type report struct {
	Healthy  bool
	Findings []struct{ Area, Status, Message, WhatToDo string }
}

// says gives the status of the finding whose message holds a text; empty where there is none.
func (r report) says(t *testing.T, text string) string {
	t.Helper()
	for _, f := range r.Findings {
		if strings.Contains(f.Message, text) {
			if f.Status == "wrong" || f.Status == "warning" {
				assert.NotEmpty(t, f.WhatToDo, "what to do about: %s", f.Message)
			}
			return f.Status
		}
	}
	return ""
}

// deployForeignManager makes a deployment of another program's manager, none of whose pods runs.
func (b *bed) deployForeignManager(t *testing.T) {
	t.Helper()
	labels := map[string]string{"app.kubernetes.io/component": "manager"}
	require.NoError(t, b.client.Create(t.Context(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: b.namespace, Name: "foreign", Labels: labels},
		Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "manager", Image: "example.com/manager"}}},
			},
		},
	}))
}

func TestMaaslxd_doctor_finds_what_is_wrong_and_says_what_to_do(t *testing.T) {
	t.Parallel()
	cfg := rack()
	cfg.Hosts[1].Project = "default"
	cfg.Hosts[2].Tags = []string{"rack 3"}
	b := newBed(t, cfg)
	b.awake(t)
	b.makeVM(t, "vm", 2, false, "")
	b.awaitUp(t, "vm")
	b.deployForeignManager(t)

	r := decode[report](t, b, "doctor", "--image", "ubuntu/warty", "--image", "u-2204-k8s-v1.34.0", "--dns-domain", "nowhere.example")
	assert.False(t, r.Healthy)
	for text, want := range map[string]string{
		"the service answers":                             "ok",
		"in the clear":                                    "warning",
		`MAAS user "admin", which others may use`:         "warning",
		"is an administrator":                             "ok",
		"may compose and delete VMs":                      "ok",
		"host lxd-off":                                    "warning",
		"host lxd-repaired":                               "warning",
		"host lxd-3":                                      "wrong",
		`LXD's project "default" on lxd-2`:                "wrong",
		"zone az3 has LXD hosts, but none that is usable": "warning",
		"1 VMs, none in trouble":                          "ok",
		"no image ubuntu/warty":                           "wrong",
		"MAAS has the domain maas":                        "ok",
		"domain nowhere.example, which --dns-domain":      "wrong",
		"the custom resources are there":                  "ok",
		"no deployment of the manager":                    "skipped",
	} {
		assert.Equal(t, want, r.says(t, text), "%s: %+v", text, r.Findings)
	}
	assert.Empty(t, r.says(t, "no image u-2204"), "a bare name is a custom image")
	assert.Equal(t, 1, b.run(t, "doctor", "--image", "ubuntu/warty").status)
	assert.NotContains(t, b.run(t, "doctor").out, b.sim.APIKey())
}

func TestMaaslxd_doctor_is_content_where_all_is_well(t *testing.T) {
	t.Parallel()
	b := newBed(t, maassim.DefaultConfig(4, 2, 0))
	got := call(t, "", "doctor", "--insecure", "--address", b.service.Address, "--kubeconfig", "/dev/null", "--dns-domain", "maas", "--image", "ubuntu/jammy")
	assert.Equal(t, 0, got.status, got.out)
	assert.Contains(t, got.out, "0 wrong")
	assert.Contains(t, got.out, "no kubeconfig")
}

func TestMaaslxd_doctor_says_what_is_wrong_with_the_key(t *testing.T) {
	t.Parallel()
	cfg := maassim.DefaultConfig(2, 2, 0)
	t.Run("that_is_a_plain_user_s", func(t *testing.T) {
		t.Parallel()
		b := newBedWithKey(t, cfg, func(sim *maassim.Sim) string { return sim.UserAPIKey() })
		r := decode[report](t, b, "doctor")
		assert.False(t, r.Healthy)
		assert.Equal(t, "wrong", r.says(t, "MAAS_RIGHTS_MISSING"))
		assert.Equal(t, "wrong", r.says(t, "can't compose and delete VMs"))
	})
	t.Run("that_MAAS_does_not_know", func(t *testing.T) {
		t.Parallel()
		b := newBedWithKey(t, cfg, func(*maassim.Sim) string { return "no:such:key" })
		got := b.run(t, "doctor")
		assert.Equal(t, 1, got.status)
		assert.Contains(t, got.out, "MAAS_KEY_REFUSED")
		assert.Contains(t, got.out, "Secret capmaas-manager-bootstrap-credentials")
		assert.NotContains(t, got.out, "no:such:key")
	})
}

func TestMaaslxd_doctor_says_that_the_service_can_not_be_reached(t *testing.T) {
	t.Parallel()
	got := call(t, "", "doctor", "--insecure", "--address", "127.0.0.1:1", "--kubeconfig", "/dev/null", "-o", "json")
	assert.Equal(t, 1, got.status)
	assert.Contains(t, got.out, "connection refused")
	got = call(t, "", "doctor", "--kubeconfig", "/dev/null")
	assert.Equal(t, 1, got.status)
	assert.Contains(t, got.out, "no way to the service: give --address")
}
