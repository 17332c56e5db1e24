// Package managertest runs the manager for tests: a real API server shared by the tests of one package, and for each test
// a namespace with a manager of its own and a provisioner that keeps the contract.
package managertest

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/klog/v2/textlogger"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// environment is the API server that Main has started, and config reaches it with every right.
var (
	environment *envtest.Environment
	config      *rest.Config
)

// Main starts an API server with Cluster API's CRDs and ours, runs the tests and stops it. It is what TestMain calls.
func Main(m *testing.M) {
	// Tests with a manager mostly wait, so more of them run at once than there are processors.
	flag.Parse()
	if parallel := flag.Lookup("test.parallel"); parallel.Value.String() == parallel.DefValue {
		_ = flag.Set("test.parallel", "8")
	}
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "managertest:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	ctrl.SetLogger(textlogger.NewLogger(textlogger.NewConfig(textlogger.Output(logOutput()))))
	if environment, err = NewEnvironment(); err != nil {
		return 0, err
	}
	manifests, err := deployed("webhook", "manifests.yaml")
	if err != nil {
		return 0, err
	}
	environment.WebhookInstallOptions.Paths = []string{manifests}
	if config, err = environment.Start(); err != nil {
		return 0, fmt.Errorf("start the API server: %w", err)
	}
	config.QPS, config.Burst = 200, 400
	defer func() { err = errors.Join(err, environment.Stop()) }()
	stop, err := serveAdmission()
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	return m.Run(), nil
}

// NewEnvironment is an API server, to be started, with Cluster API's CRDs and ours and without admission.
func NewEnvironment() (*envtest.Environment, error) {
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		return nil, errors.New("KUBEBUILDER_ASSETS is not set; KUBEBUILDER_ASSETS=$(tools/apiserver/ensure.sh) finds an API server, and make test does so")
	}
	ours, err := deployed("crd", "bases")
	if err != nil {
		return nil, err
	}
	capi, err := moduleDir("sigs.k8s.io/cluster-api")
	if err != nil {
		return nil, err
	}
	return &envtest.Environment{
		ErrorIfCRDPathMissing: true,
		// On a busy machine the API server takes longer to end its watches than envtest's 20 seconds.
		ControlPlaneStopTimeout: 2 * time.Minute,
		CRDDirectoryPaths:       []string{ours, filepath.Join(capi, "core", "config", "crd", "bases")},
	}, nil
}

// logOutput is the standard error where MANAGERTEST_LOG is set: a manager's log belongs to no single test.
func logOutput() *os.File {
	if os.Getenv("MANAGERTEST_LOG") != "" {
		return os.Stderr
	}
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return os.Stderr
	}
	return null
}

// deployed is a path in deploy/.
func deployed(path ...string) (string, error) {
	ours, err := moduleDir("github.com/capmaas/capmaas/controllers")
	return filepath.Join(append([]string{ours, "..", "deploy"}, path...)...), err
}

// moduleDir is where a module's files are.
func moduleDir(module string) (string, error) {
	list := exec.CommandContext(context.Background(), "go", "list", "-m", "-f", "{{.Dir}}", module) //nolint:gosec // the callers above name the modules
	out, err := list.Output()
	if err != nil {
		return "", fmt.Errorf("find module %s: %w", module, err)
	}
	return strings.TrimSpace(string(out)), nil
}
