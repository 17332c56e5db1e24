package deploy_test

import (
	"flag"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/klog/v2/textlogger"

	managerapp "github.com/capmaas/capmaas/controllers/app"
	serviceapp "github.com/capmaas/capmaas/services/lxdprovisioner/app"
)

func TestDeployments_pass_flags_that_exist_and_that_fit_together(t *testing.T) {
	t.Parallel()
	for _, overlay := range overlays {
		t.Run(overlay, func(t *testing.T) {
			t.Parallel()
			options, service := parse(t, overlay)
			require.NoError(t, options.Validate())
			assert.Equal(t, service.Insecure, options.ProvisionerInsecure, "the manager must speak what the service serves")
			assert.Equal(t, service.TLSDir != "", !service.Insecure, "one of both")
			_, port, found := strings.Cut(service.Listen, ":")
			require.True(t, found)
			assert.Equal(t, service.Peers+":"+port, options.ProvisionerAddress, "the manager dials what the replicas are found by")
			assert.True(t, options.LeaderElect)
		})
	}
}

// parse gives what the programs are told by the arguments of an overlay, as their own flags understand them.
func parse(t *testing.T, overlay string) (managerapp.Options, serviceapp.Config) {
	t.Helper()
	options, service := managerapp.DefaultOptions(), serviceapp.Config{}
	managerFlags, serviceFlags := newFlags(), newFlags()
	options.AddFlags(managerFlags)
	textlogger.NewConfig().AddFlags(managerFlags)
	service.AddFlags(serviceFlags)
	for _, d := range decode[appsv1.Deployment](t, build(t, overlay), "Deployment") {
		flags := managerFlags
		if strings.Contains(d.Name, "lxdprovisioner") {
			flags = serviceFlags
		}
		require.NoError(t, flags.Parse(d.Spec.Template.Spec.Containers[0].Args), d.Name)
		assert.Empty(t, flags.Args(), "%s: arguments that are no flags", d.Name)
	}
	return options, service
}

func newFlags() *flag.FlagSet {
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	return flags
}

// TestReplicas_X6_3 holds the name that the service resolves against the Service of that name: only a
// headless one resolves to the replicas themselves.
func TestReplicas_X6_3_find_each_other_and_themselves_behind_the_headless_Service(t *testing.T) {
	t.Parallel()
	all := build(t, "default")
	service, flags := serviceapp.Config{}, newFlags()
	service.AddFlags(flags)
	for _, d := range decode[appsv1.Deployment](t, all, "Deployment") {
		if !strings.Contains(d.Name, "lxdprovisioner") {
			continue
		}
		pod := d.Spec.Template
		require.NoError(t, flags.Parse(pod.Spec.Containers[0].Args))
		require.NotEmpty(t, service.Peers)
		for _, s := range decode[corev1.Service](t, all, "Service") {
			if service.Peers == s.Name && d.Namespace == s.Namespace {
				assert.Equal(t, corev1.ClusterIPNone, s.Spec.ClusterIP)
				assert.True(t, labels.SelectorFromSet(s.Spec.Selector).Matches(labels.Set(pod.Labels)), "the Service selects the replicas")
				assert.Contains(t, pod.Spec.Containers[0].Env, corev1.EnvVar{
					Name: "POD_IP", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "status.podIP"}},
				})
				return
			}
		}
	}
	t.Errorf("no Service is called %s", service.Peers)
}

// TestManager parses the arguments of the existing provider's manifest; --v is klog's, which main adds.
func TestManager_takes_the_flags_and_the_Secret_of_the_existing_provider(t *testing.T) {
	t.Parallel()
	options, flags := managerapp.DefaultOptions(), newFlags()
	options.AddFlags(flags)
	require.NoError(t, flags.Parse([]string{
		"--leader-elect", "--metrics-bind-addr=127.0.0.1:8080", "--machine-concurrency=2", "--sync-period=120m", "--health-addr=:9440",
		"--webhook-port=9443", "--namespace=", "--feature-gates=MachinePool=true",
	}))
	assert.Empty(t, flags.Args())
	for _, s := range decode[corev1.Secret](t, build(t, "default"), "Secret") {
		assert.Equal(t, secretName, s.Name)
		assert.Contains(t, s.StringData, "MAAS_ENDPOINT")
		assert.Contains(t, s.StringData, "MAAS_API_KEY")
	}
}
