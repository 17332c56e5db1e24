package management_test

import (
	"cmp"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/test/e2e/internal/management"
)

// provider stands for what one of Cluster API's providers installs: its manager may read nodes, and nothing else.
const provider = `
apiVersion: v1
kind: Namespace
metadata: {name: %[1]s-system}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: manager, namespace: %[1]s-system}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: %[1]s}
rules: [{apiGroups: [""], resources: [nodes], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: %[1]s}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: %[1]s}
subjects: [{kind: ServiceAccount, name: manager, namespace: %[1]s-system}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: %[1]s}
webhooks:
- name: nobody.%[1]s.example
  admissionReviewVersions: [v1]
  sideEffects: None
  rules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [configmaps]}]
  clientConfig: {service: {name: webhook, namespace: %[1]s-system, path: /validate}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: %[2]s, namespace: %[1]s-system}
spec: {template: {spec: {serviceAccountName: manager}}}
`

// options has what the API server needs, our own manifests, and those of three providers that stand for Cluster API's.
func options(t *testing.T) management.Options {
	t.Helper()
	assets := os.Getenv("KUBEBUILDER_ASSETS")
	require.NotEmpty(t, assets, "run this through make, or export KUBEBUILDER_ASSETS=$(tools/apiserver/ensure.sh)")
	// A test whose answer is kept is run again when a variable that it has read has changed: deploy/ is outside of its module.
	_ = os.Getenv("CAPMAAS_DEPLOY")
	root, err := filepath.Abs("../../../..")
	require.NoError(t, err)
	clusterAPI := t.TempDir()
	for name, deployment := range map[string]string{
		"core": "capi-controller-manager", "bootstrap": "capi-kubeadm-bootstrap-controller-manager",
		"controlplane": "capi-kubeadm-control-plane-controller-manager",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(clusterAPI, name+".yaml"), fmt.Appendf(nil, provider, name, deployment), 0o600))
	}
	return management.Options{
		Programs: management.Programs{Own: "/nowhere", Assets: assets, Kubernetes: assets, ClusterAPI: clusterAPI, Root: root},
		Dir:      t.TempDir(), Base: freePorts(t, 3), Now: time.Now,
	}
}

// freePorts finds ports in a row that nobody listens on, and gives the first.
func freePorts(t *testing.T, count int) int {
	t.Helper()
	for {
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		require.NoError(t, err)
		first := l.Addr().(*net.TCPAddr).Port
		free := first+count <= 65536
		for port := first + 1; free && port < first+count; port++ {
			next, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", port))
			free = err == nil
			if free {
				require.NoError(t, next.Close())
			}
		}
		require.NoError(t, l.Close())
		if free {
			return first
		}
	}
}

// spoken keeps what was said.
type spoken struct {
	mu    sync.Mutex
	lines []string
}

func (s *spoken) sayf(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, fmt.Sprintf(format, args...))
}

func TestPrepare_gives_each_manager_the_rights_of_its_manifests(t *testing.T) {
	t.Parallel()
	var said spoken
	c, err := management.Prepare(t.Context(), options(t), said.sayf)
	t.Cleanup(func() { assert.NoError(t, c.Stop()) })
	require.NoError(t, err)
	require.NoError(t, c.Alive())
	assert.Equal(t, []string{"started etcd and the API server", "started kinds and rights"}, said.lines)

	for name, tc := range map[string]struct {
		manager, verb, resource, namespace string
		want                               bool
	}{
		"our_manager_reads_secrets":                        {"manager", "get", "secrets", "default", true},
		"our_manager_lists_no_secrets":                     {"manager", "list", "secrets", "default", false},
		"our_manager_patches_machines":                     {"manager", "patch", "maasmachines.infrastructure.cluster.x-k8s.io", "default", true},
		"our_manager_deletes_no_machines":                  {"manager", "delete", "maasmachines.infrastructure.cluster.x-k8s.io", "default", false},
		"our_manager_has_leases_at_home":                   {"manager", "create", "leases.coordination.k8s.io", "capmaas-system", true},
		"our_manager_has_leases_nowhere_else":              {"manager", "create", "leases.coordination.k8s.io", "default", false},
		"our_manager_gives_nobody_rights":                  {"manager", "create", "clusterroles.rbac.authorization.k8s.io", "", false},
		"another_manager_has_what_its_manifests_give":      {"core", "get", "nodes", "", true},
		"another_manager_has_nothing_else":                 {"core", "list", "nodes", "", false},
		"another_manager_has_nothing_of_ours":              {"bootstrap", "get", "maasmachines.infrastructure.cluster.x-k8s.io", "default", false},
		"the_third_manager_has_what_its_manifests_give_it": {"controlplane", "get", "nodes", "", true},
	} {
		t.Run(name, func(t *testing.T) { // not in parallel: the cluster stops with the test
			assert.Equal(t, tc.want, may(t, filepath.Join(c.Dir, tc.manager+".kubeconfig"), tc.verb, tc.resource, tc.namespace))
		})
	}
	t.Run("kinds_are_there_and_nobody_is_asked_before_managers_run", func(t *testing.T) {
		require.NoError(t, c.Client.List(t.Context(), &infrav1.MaasMachineList{}))
		require.NoError(t, c.Client.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "unasked"}}))
	})
	t.Run("killed_it_comes_back_and_forgets_nothing", func(t *testing.T) {
		require.NoError(t, c.Kill("kube-apiserver"))
		require.EventuallyWithT(t, func(collect *assert.CollectT) {
			assert.NoError(collect, c.Client.Get(t.Context(), client.ObjectKey{Namespace: "default", Name: "unasked"}, &corev1.ConfigMap{}))
		}, 3*time.Minute, 100*time.Millisecond)
		require.ErrorContains(t, c.Kill("nobody"), "no process is named nobody")
	})
}

func TestPrepare_says_what_it_lacks_before_it_starts_anything(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		lacks management.Programs
		want  []string
	}{
		"etcd_and_kubectl":          {management.Programs{Assets: "/nowhere"}, []string{"needs /nowhere/etcd: ", "needs /nowhere/kubectl: "}},
		"the_API_server":            {management.Programs{Kubernetes: "/nowhere"}, []string{"needs /nowhere/kube-apiserver: "}},
		"the_top_of_the_repository": {management.Programs{Root: "/nowhere"}, []string{"needs /nowhere/deploy/default: "}},
		"the_providers_manifests":   {management.Programs{ClusterAPI: "/nowhere"}, []string{"needs /nowhere/core.yaml: ", "needs /nowhere/bootstrap.yaml: "}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := options(t)
			o.Assets, o.Kubernetes = cmp.Or(tc.lacks.Assets, o.Assets), cmp.Or(tc.lacks.Kubernetes, o.Kubernetes)
			o.Root, o.ClusterAPI = cmp.Or(tc.lacks.Root, o.Root), cmp.Or(tc.lacks.ClusterAPI, o.ClusterAPI)
			var said spoken

			c, err := management.Prepare(t.Context(), o, said.sayf)

			for _, want := range tc.want {
				require.ErrorContains(t, err, want)
			}
			assert.Empty(t, said.lines)
			require.NoError(t, c.Stop())
		})
	}
}

func TestStart_says_which_managers_it_lacks_before_it_starts_anything(t *testing.T) {
	t.Parallel()
	var said spoken

	c, err := management.Start(t.Context(), options(t), said.sayf)

	for _, want := range []string{"/nowhere/manager", "/nowhere/lxdprovisioner", "/core", "/bootstrap", "/controlplane", "/kube-controller-manager"} {
		require.ErrorContains(t, err, want+": no such file")
	}
	assert.Empty(t, said.lines)
	require.NoError(t, c.Stop())
}

// may asks the API server whether the holder of a kubeconfig may do something.
func may(t *testing.T, kubeconfig, verb, resource, namespace string) bool {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	require.NoError(t, err)
	c, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	name, group, _ := strings.Cut(resource, ".")
	review, err := c.AuthorizationV1().SelfSubjectAccessReviews().Create(t.Context(), &authorizationv1.SelfSubjectAccessReview{
		Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: namespace, Verb: verb, Group: group, Resource: name,
		}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	return review.Status.Allowed
}
