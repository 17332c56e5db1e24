package app_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/controllers/internal/managertest"
	"github.com/capmaas/capmaas/proto/provisionertest"
)

func TestMain(m *testing.M) { managertest.Main(m) }

// deployedRules are the rules of the manager's role as deploy/ holds it.
func deployedRules(t *testing.T) []rbacv1.PolicyRule {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "deploy", "rbac", "role.yaml"))
	require.NoError(t, err)
	var role rbacv1.ClusterRole
	require.NoError(t, yaml.UnmarshalStrict([]byte(strings.TrimPrefix(string(text), "---\n")), &role))
	require.NotEmpty(t, role.Rules)
	return role.Rules
}

func TestRun_R6_3_lives_on_the_rights_of_its_role_in_one_namespace(t *testing.T) {
	t.Parallel()
	bed := managertest.NewWithoutManager(t, provisionertest.Config{})
	meta := metav1.ObjectMeta{Namespace: bed.Namespace, Name: "manager"}
	require.NoError(t, bed.Client.Create(t.Context(), &rbacv1.Role{ObjectMeta: meta, Rules: deployedRules(t)}))
	require.NoError(t, bed.Client.Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: meta,
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "manager"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: bed.Namespace}},
	}))
	options := bed.Options()
	options.Config = managertest.User(t, bed.Namespace)
	bed.StartManagerWith(t, options)
	bed.ProvisionCluster(t)
	bed.CreateMachine(t, "cp-0", managertest.LXD(), managertest.ControlPlane)
	bed.CreateMachine(t, "worker-0", managertest.Metal())
	bed.WaitProvisioned(t, "worker-0")
	bed.WaitCondition(t, bed.OfMachine("cp-0"), clusterv1.ReadyCondition, clusterv1.ReadyReason)
	bed.DeleteMachine(t, "cp-0")
	bed.DeleteMachine(t, "worker-0")
	bed.WaitGone(t, "cp-0")
	bed.WaitGone(t, "worker-0")
	assert.Empty(t, bed.Fake.VMs())
}

// asked is what a manager's clients have asked of the API server.
type asked struct {
	mu    sync.Mutex
	paths []string
}

// roundTripper is a function that is one.
type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip calls it.
func (f roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return f(request) }

// note notes the path of each request before it is passed on.
func (a *asked) note(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(request *http.Request) (*http.Response, error) {
		a.mu.Lock()
		a.paths = append(a.paths, request.URL.Path)
		a.mu.Unlock()
		return next.RoundTrip(request)
	})
}

func (a *asked) about(resource string) []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var about []string
	for _, path := range a.paths {
		if strings.Contains(path, "/"+resource+"/") {
			about = append(about, path)
		}
	}
	return about
}

// Each look at a machine or a cluster reads the preferred subnets, and most namespaces have none: ten clusters that were created at
// once asked a thousand times.
func TestRun_asks_nobody_for_the_preferred_subnets_of_each_machine(t *testing.T) {
	t.Parallel()
	bed := managertest.NewWithoutManager(t, provisionertest.Config{})
	noted := &asked{}
	options := bed.Options()
	options.Config.Wrap(noted.note)
	bed.StartManagerWith(t, options)
	bed.ProvisionCluster(t)
	bed.CreateMachine(t, "cp-0", managertest.LXD(), managertest.ControlPlane)
	bed.WaitCondition(t, bed.OfMachine("cp-0"), infrav1.DNSAttachedCondition, infrav1.DNSAttachedReason)
	assert.NotEmpty(t, noted.about("secrets"), "bootstrap data are asked for")
	assert.Empty(t, noted.about("configmaps"))
}

func TestRun_R6_3_neither_sees_nor_touches_other_namespaces(t *testing.T) {
	t.Parallel()
	ours, theirs := managertest.New(t, provisionertest.Config{}), managertest.NewWithoutManager(t, provisionertest.Config{})
	theirs.CreateCluster(t)
	theirs.CreateMachine(t, "cp-0", managertest.LXD())
	ours.ProvisionCluster(t)
	ours.CreateMachine(t, "cp-0", managertest.LXD())
	ours.WaitProvisioned(t, "cp-0")
	assert.Empty(t, theirs.Cluster(t).Finalizers)
	assert.Empty(t, theirs.Machine(t, "cp-0").Finalizers)
	assert.Len(t, ours.Fake.VMs(), 1)
}

// filtered starts a manager that looks after labelled objects alone.
func filtered(t *testing.T) *managertest.Bed {
	t.Helper()
	bed := managertest.NewWithoutManager(t, provisionertest.Config{})
	options := bed.Options()
	options.WatchFilter = "blue"
	bed.StartManagerWith(t, options)
	return bed
}

// A Machine seldom has the label of the filter, so the watch does not tell when it comes.
func TestRun_watch_filter_finds_an_owner_without_the_label_that_comes_late(t *testing.T) {
	t.Parallel()
	bed := filtered(t)
	bed.CreateCluster(t)
	early := &infrav1.MaasMachine{ObjectMeta: metav1.ObjectMeta{
		Namespace: bed.Namespace, Name: "early", Labels: map[string]string{clusterv1.WatchLabel: "blue"},
		OwnerReferences: []metav1.OwnerReference{{
			APIVersion: clusterv1.GroupVersion.String(), Kind: "Machine", Name: "late", UID: "late",
		}},
	}, Spec: managertest.LXD()}
	require.NoError(t, bed.Client.Create(t.Context(), early))
	bed.CreateMachine(t, "other", managertest.LXD(), labelledBlue)
	managertest.Eventually(t, func(c *managertest.Check) {
		assert.NotEmpty(c, bed.Machine(c, "other").Finalizers)
	}, "the queue has come to a machine that was made after it")

	require.NoError(t, bed.Client.Create(t.Context(), &clusterv1.Machine{
		ObjectMeta: metav1.ObjectMeta{Namespace: bed.Namespace, Name: "late"},
		Spec: clusterv1.MachineSpec{
			ClusterName: managertest.ClusterName,
			Bootstrap:   clusterv1.Bootstrap{DataSecretName: new("late")},
			InfrastructureRef: clusterv1.ContractVersionedObjectReference{
				APIGroup: infrav1.GroupVersion.Group, Kind: "MaasMachine", Name: "early",
			},
		},
	}))
	managertest.Eventually(t, func(c *managertest.Check) {
		assert.NotEmpty(c, bed.Machine(c, "early").Finalizers)
	}, "the machine whose owner came late is looked at")
}

// untouched waits until an object stays as it is for longer than a controller waits before it looks again at what it has changed
// itself: from then on only events wake it, and what it waits for itself.
func untouched(t *testing.T, get func() client.Object) {
	t.Helper()
	last := ""
	require.Eventually(t, func() bool {
		before := last
		last = get().GetResourceVersion()
		return last == before
	}, 2*time.Minute, 2*time.Second)
}

// The Secret's name and the end of a pause come by events of a Machine and a Cluster that have no label.
func TestRun_watch_filter_hears_what_objects_without_the_label_tell(t *testing.T) {
	t.Parallel()
	bed := filtered(t)
	bed.ProvisionCluster(t, func(_ *clusterv1.Cluster, infra *infrav1.MaasCluster) { infra.Labels[clusterv1.WatchLabel] = "blue" })
	pause := func(paused bool, reason string) {
		bed.PatchCluster(t, func(c *clusterv1.Cluster) { c.Spec.Paused = &paused })
		bed.WaitCondition(t, bed.OfCluster, clusterv1.PausedCondition, reason)
		untouched(t, func() client.Object { return bed.Cluster(t) })
	}
	pause(true, clusterv1.PausedReason)
	pause(false, clusterv1.NotPausedReason)
	bed.CreateMachine(t, "cp-0", managertest.LXD(), labelledBlue, managertest.WithoutBootstrapData)
	bed.WaitCondition(t, bed.OfMachine("cp-0"), clusterv1.PausedCondition, clusterv1.NotPausedReason)
	untouched(t, func() client.Object { return bed.Machine(t, "cp-0") })
	machine := &clusterv1.Machine{}
	require.NoError(t, bed.Client.Get(t.Context(), bed.Key("cp-0"), machine))
	before := machine.DeepCopy()
	machine.Spec.Bootstrap.DataSecretName = new("cp-0")
	require.NoError(t, bed.Client.Patch(t.Context(), machine, client.MergeFrom(before)))
	bed.WaitProvisioned(t, "cp-0")
}

func labelledBlue(_ *clusterv1.Machine, m *infrav1.MaasMachine) {
	m.Labels[clusterv1.WatchLabel] = "blue"
}

func TestRun_watch_filter_leaves_other_objects_alone(t *testing.T) {
	t.Parallel()
	bed := filtered(t)
	bed.CreateCluster(t)
	// Its MaasCluster gets an id and a record, of which all its machines are told.
	bed.CreateMachine(t, "unlabelled", managertest.LXD())
	cluster := bed.Cluster(t)
	cluster.Labels[clusterv1.WatchLabel] = "blue"
	require.NoError(t, bed.Client.Update(t.Context(), cluster))
	managertest.Eventually(t, func(c *managertest.Check) {
		assert.NotEmpty(c, bed.Cluster(c).Spec.ControlPlaneEndpoint.Host)
	}, "the labelled cluster is looked at")
	bed.CreateMachine(t, "labelled", managertest.LXD(), labelledBlue)
	managertest.Eventually(t, func(c *managertest.Check) {
		assert.NotEmpty(c, bed.Machine(c, "labelled").Finalizers)
	}, "the labelled machine is looked at")
	assert.Empty(t, bed.Machine(t, "unlabelled").Finalizers)
}
