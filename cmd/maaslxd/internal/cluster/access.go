package cluster

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/pflag"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
)

// callTimeout bounds one call of the Kubernetes API.
const callTimeout = 30 * time.Second

// ErrNone says that no kubeconfig names a cluster.
var ErrNone = errors.New("no kubeconfig: give --kubeconfig, or set KUBECONFIG")

// Options say which cluster is meant.
type Options struct {
	// Kubeconfig is a file; KUBECONFIG and the file in the home directory stand for it.
	Kubeconfig string
	// Context is one of the kubeconfig's; its current one where empty.
	Context string
	// Namespace is that of the objects; the context's where empty.
	Namespace string
}

// AddFlags lets flags set the options.
func (o *Options) AddFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.Kubeconfig, "kubeconfig", "", "kubeconfig of the management cluster ($KUBECONFIG, then ~/.kube/config)")
	flags.StringVar(&o.Context, "context", "", "context of the kubeconfig")
	flags.StringVarP(&o.Namespace, "namespace", "n", "", "namespace of the objects; the context's where it is not given")
}

// Access is a management cluster.
type Access struct {
	// Client reads and writes.
	Client client.Client
	// Namespace is that of objects which are named without one.
	Namespace string
	// Server is the URL of the API.
	Server string

	config *rest.Config
}

// Load finds the cluster; ErrNone where nothing names one. Nothing is sent to it.
func Load(o Options) (*Access, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = o.Kubeconfig
	overrides := &clientcmd.ConfigOverrides{CurrentContext: o.Context}
	overrides.Context.Namespace = o.Namespace
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides)
	config, err := loader.ClientConfig()
	if clientcmd.IsEmptyConfig(err) {
		return nil, ErrNone
	}
	if err != nil {
		return nil, fmt.Errorf("read the kubeconfig: %w", err)
	}
	namespace, _, err := loader.Namespace()
	if err != nil {
		return nil, fmt.Errorf("read the kubeconfig: %w", err)
	}
	config.Timeout, config.WarningHandler = callTimeout, rest.NoWarnings{}
	c, err := client.New(config, client.Options{Scheme: newScheme()})
	if err != nil {
		return nil, fmt.Errorf("reach the Kubernetes API at %s: %w", config.Host, err)
	}
	return &Access{Client: c, Namespace: namespace, Server: config.Host, config: config}, nil
}

func newScheme() *runtime.Scheme {
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		clientgoscheme.AddToScheme, apiextensionsv1.AddToScheme, clusterv1.AddToScheme, infrav1.AddToScheme,
	} {
		utilruntime.Must(add(s))
	}
	return s
}
