// Package apiserver starts a real API server and etcd on loopback with the custom resources of
// Cluster API and of this provider, for tests and for the demo.
package apiserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// startTimeout and stopTimeout bound how long the API server and etcd may take to start and to stop.
const (
	startTimeout = time.Minute
	stopTimeout  = 2 * time.Minute
)

// Server is a running API server.
type Server struct {
	// Config is an administrator's.
	Config *rest.Config
	// Kubeconfig is the same as a file's content.
	Kubeconfig []byte
	// Admission is what a manager must serve for the API server to admit our kinds; nil where it asks nobody.
	Admission *Admission

	environment *envtest.Environment
	webhooks    *envtest.WebhookInstallOptions
}

// Admission says where the API server looks for the webhooks.
type Admission struct {
	// Host and Port are on loopback.
	Host string
	Port int
	// CertDir holds tls.crt and tls.key, which the API server trusts.
	CertDir string
}

// Start starts etcd and an API server from the binaries in KUBEBUILDER_ASSETS and installs the
// custom resources. It asks no webhooks. Call Stop.
func Start(ctx context.Context) (*Server, error) { return start(ctx, false) }

// StartWithAdmission is Start with the webhooks of deploy/: objects of our kinds are admitted once a
// manager serves them.
func StartWithAdmission(ctx context.Context) (*Server, error) { return start(ctx, true) }

// StartWith starts etcd and an API server that knows the custom resources in these directories and no others. Call Stop.
func StartWith(crds ...string) (*Server, error) {
	return run(&envtest.Environment{CRDDirectoryPaths: crds, ErrorIfCRDPathMissing: true})
}

func start(ctx context.Context, admission bool) (*Server, error) {
	root, err := Root()
	if err != nil {
		return nil, err
	}
	core, err := ModuleDir(ctx, "test", "sigs.k8s.io/cluster-api")
	if err != nil {
		return nil, err
	}
	env := &envtest.Environment{
		CRDDirectoryPaths: []string{
			filepath.Join(root, "deploy", "crd", "bases"),
			filepath.Join(core, "core", "config", "crd", "bases"),
		},
		ErrorIfCRDPathMissing: true,
	}
	if admission {
		env.WebhookInstallOptions.Paths = []string{filepath.Join(root, "deploy", "webhook", "manifests.yaml")}
	}
	server, err := run(env)
	if err != nil {
		return nil, err
	}
	if admission {
		webhooks := &env.WebhookInstallOptions
		server.Admission = &Admission{Host: webhooks.LocalServingHost, Port: webhooks.LocalServingPort, CertDir: webhooks.LocalServingCertDir}
	}
	return server, nil
}

func run(env *envtest.Environment) (*Server, error) {
	assets := os.Getenv("KUBEBUILDER_ASSETS")
	if assets == "" {
		return nil, errors.New("KUBEBUILDER_ASSETS is not set: run this through make, or export KUBEBUILDER_ASSETS=$(tools/apiserver/ensure.sh)")
	}
	env.BinaryAssetsDirectory = assets
	// On a busy machine the API server takes longer to answer, and to end its watches, than envtest's 20 seconds.
	env.ControlPlaneStartTimeout, env.ControlPlaneStopTimeout = startTimeout, stopTimeout
	config, err := env.Start()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start the API server from %s: %w", assets, err), env.Stop())
	}
	return &Server{Config: config, Kubeconfig: env.KubeConfig, environment: env}, nil
}

// Admit installs the webhooks of deploy/ on a server that was started without them, as an upgrade does. It sets
// Admission.
func (s *Server) Admit() error {
	root, err := Root()
	if err != nil {
		return err
	}
	webhooks := &envtest.WebhookInstallOptions{Paths: []string{filepath.Join(root, "deploy", "webhook", "manifests.yaml")}}
	if err := webhooks.Install(s.Config); err != nil {
		return fmt.Errorf("install the webhooks: %w", err)
	}
	s.Admission = &Admission{Host: webhooks.LocalServingHost, Port: webhooks.LocalServingPort, CertDir: webhooks.LocalServingCertDir}
	s.webhooks = webhooks
	return nil
}

// Stop stops the API server, then etcd.
func (s *Server) Stop() error {
	err := s.environment.Stop()
	if s.webhooks != nil {
		err = errors.Join(err, os.RemoveAll(s.webhooks.LocalServingCertDir))
	}
	return err
}

// Root gives the top of the repository: the directory of go.work, at or above the working directory.
func Root() (string, error) {
	// A test whose answer is kept is run again when a variable that it has read has changed: deploy/ is outside of its module.
	_ = os.Getenv("CAPMAAS_DEPLOY")
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the repository: %w", err)
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.work")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("no go.work at or above the working directory: run this inside the repository")
		}
	}
}

// Tree is Root for tests that read more of the repository than deploy/: they run again when any file of it has changed.
func Tree() (string, error) {
	_ = os.Getenv("CAPMAAS_TREE")
	return Root()
}

// ModuleDir gives the directory in the module cache of a module that the go.mod in a directory of the repository requires;
// Go fetches it where it is not there yet.
func ModuleDir(ctx context.Context, of, module string) (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	tool := func(args ...string) (string, error) {
		cmd := exec.CommandContext(ctx, "go", args...)
		cmd.Dir, cmd.Stderr, cmd.Env = filepath.Join(root, of), os.Stderr, append(os.Environ(), "GOWORK=off")
		out, err := cmd.Output()
		if err != nil {
			return "", fmt.Errorf("find module %s: %w", module, err)
		}
		return strings.TrimSpace(string(out)), nil
	}
	find := []string{"list", "-m", "-f", "{{.Dir}}", module}
	dir, err := tool(find...)
	if err != nil || dir != "" {
		return dir, err
	}
	if _, err := tool("mod", "download", module); err != nil {
		return "", err
	}
	return tool(find...)
}
