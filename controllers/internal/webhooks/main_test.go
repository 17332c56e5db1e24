package webhooks_test

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/controllers/app"
	"github.com/capmaas/capmaas/controllers/internal/managertest"
)

func TestMain(m *testing.M) { managertest.Main(m) }

// server is one API server, with a namespace for one test.
type server struct {
	client.Client
	namespace string
	warnings  *warnings
}

// warnings collects what the API server warns about.
type warnings struct {
	mu  sync.Mutex
	all []string
}

func (w *warnings) HandleWarningHeader(_ int, _, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, text)
}

// take gives what was said since the last call.
func (w *warnings) take() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	said := w.all
	w.all = nil
	return said
}

// newServer makes a namespace on the API server whose admission the manager serves.
func newServer(t *testing.T) *server {
	t.Helper()
	return serverAt(t, managertest.Config())
}

// newBareServer starts an API server that knows the schemas and asks no webhook.
func newBareServer(t *testing.T) *server {
	t.Helper()
	environment, err := managertest.NewEnvironment()
	require.NoError(t, err)
	config, err := environment.Start()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, environment.Stop()) })
	return serverAt(t, config)
}

func serverAt(t *testing.T, config *rest.Config) *server {
	t.Helper()
	scheme, err := app.Scheme()
	require.NoError(t, err)
	s := &server{warnings: &warnings{}}
	config.WarningHandler, config.QPS, config.Burst = s.warnings, 200, 400
	s.Client, err = client.New(config, client.Options{Scheme: scheme})
	require.NoError(t, err)
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "admission-"}}
	require.NoError(t, s.Create(t.Context(), namespace))
	s.namespace = namespace.Name
	return s
}

func (s *server) meta() metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: s.namespace, GenerateName: "an-object-"}
}

func (s *server) machine(spec infrav1.MaasMachineSpec) *infrav1.MaasMachine {
	return &infrav1.MaasMachine{ObjectMeta: s.meta(), Spec: spec}
}

func (s *server) template(spec infrav1.MaasMachineSpec) *infrav1.MaasMachineTemplate {
	t := &infrav1.MaasMachineTemplate{ObjectMeta: s.meta()}
	t.Spec.Template.Spec = spec
	return t
}

func (s *server) cluster(spec infrav1.MaasClusterSpec) *infrav1.MaasCluster {
	return &infrav1.MaasCluster{ObjectMeta: s.meta(), Spec: spec}
}

func (s *server) clusterTemplate(spec infrav1.MaasClusterSpec) *infrav1.MaasClusterTemplate {
	t := &infrav1.MaasClusterTemplate{ObjectMeta: s.meta()}
	t.Spec.Template.Spec = spec
	return t
}

// metal and vm are specs that admission has nothing to say about.
func metal() infrav1.MaasMachineSpec { return managertest.Metal() }

func vm() infrav1.MaasMachineSpec { return managertest.LXD() }

// fieldsOf gives the fields that a refusal names, each once.
func fieldsOf(t *testing.T, err error) []string {
	t.Helper()
	require.Error(t, err)
	require.True(t, apierrors.IsInvalid(err), "%v", err)
	var status *apierrors.StatusError
	require.ErrorAs(t, err, &status)
	require.NotNil(t, status.ErrStatus.Details, "%v", err)
	var fields []string
	for _, cause := range status.ErrStatus.Details.Causes {
		if cause.Field != "<nil>" { // "some validation rules were not checked because the object was invalid"
			fields = append(fields, cause.Field)
		}
	}
	slices.Sort(fields)
	return slices.Compact(fields)
}

// byWebhook says whether a webhook refused, rather than the schema.
func byWebhook(err error) bool { return strings.Contains(err.Error(), "admission webhook") }
