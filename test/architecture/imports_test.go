package architecture_test

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const prefix = "github.com/capmaas/capmaas/"

// rules says for each tree of packages what it may not reach, not even through others, and why.
var rules = []struct{ module, tree, banned, why string }{
	{"controllers", "controllers", prefix + "services", "controllers reach MAAS only over the RPC"},
	{"controllers", "controllers", "github.com/canonical/gomaasclient", "controllers reach MAAS only over the RPC"},
	{"controllers", "controllers", "github.com/juju/gomaasapi", "controllers reach MAAS only over the RPC"},
	{"cmd/maaslxd", "cmd/maaslxd", prefix + "services", "the command asks the service, over the RPC"},
	{"cmd/maaslxd", "cmd/maaslxd", prefix + "controllers", "the command reads objects; only the manager decides by them"},
	{"cmd/maaslxd", "cmd/maaslxd", "github.com/canonical/gomaasclient", "the command asks the service, over the RPC"},
	{"cmd/maaslxd", "cmd/maaslxd", "github.com/juju/gomaasapi", "the command asks the service, over the RPC"},
	{"services/lxdprovisioner", "services/lxdprovisioner", "k8s.io", "the service knows MAAS, not Kubernetes"},
	{"services/lxdprovisioner", "services/lxdprovisioner", "sigs.k8s.io", "the service knows MAAS, not Kubernetes"},
	{"services/lxdprovisioner", "services/lxdprovisioner", prefix + "services/maassim", "the product doesn't know its simulator"},
	{"services/lxdprovisioner", "services/lxdprovisioner", prefix + "api", "the service knows no custom resources"},
	{"services/lxdprovisioner", "services/lxdprovisioner/internal/placement", "context", "placement is arithmetic on a snapshot; it waits for nothing"},
	{"services/lxdprovisioner", "services/lxdprovisioner/internal/placement", "net", "placement has no I/O"},
	{"services/lxdprovisioner", "services/lxdprovisioner/internal/placement", "log", "placement answers with reasons instead of logging them"},
	{"services/lxdprovisioner", "services/lxdprovisioner/internal/placement", "log/slog", "placement answers with reasons instead of logging them"},
	{"services/lxdprovisioner", "services/lxdprovisioner/internal/placement", "google.golang.org/grpc", "gRPC lives in internal/server"},
	{"services/lxdprovisioner", "services/lxdprovisioner/internal/inventory", prefix + "services/lxdprovisioner/internal/fault", "nouns have no errors"},
	{"services/lxdprovisioner", "services/lxdprovisioner/internal/maas", prefix + "services/lxdprovisioner/internal/placement", "the adapter translates; it does not choose"},
	{"services/lxdprovisioner", "services/lxdprovisioner/internal/maas", prefix + "services/lxdprovisioner/internal/provision", "imports go down only"},
	{"services/lxdprovisioner", "services/lxdprovisioner/internal/maas", prefix + "proto", "proto lives in internal/server"},
	{"services/lxdprovisioner", "services/lxdprovisioner/internal/backend", prefix + "services/lxdprovisioner/internal/server", "imports go down only"},
	{"services/lxdprovisioner", "services/lxdprovisioner/internal/provision", prefix + "proto", "proto lives in internal/server"},
	{"services/lxdprovisioner", "services/lxdprovisioner/internal/provision", prefix + "services/lxdprovisioner/internal/backend", "use cases name the interface, app wires the back end"},
	{"services/lxdprovisioner", "services/lxdprovisioner/internal/provision", prefix + "services/lxdprovisioner/internal/server", "imports go down only"},
	{"services/lxdprovisioner", "services/lxdprovisioner/internal/server", prefix + "services/lxdprovisioner/internal/maas", "the server speaks to use cases"},
	{"services/lxdprovisioner", "services/lxdprovisioner/internal/server", prefix + "services/lxdprovisioner/internal/backend", "the server speaks to use cases"},
	{"services/maassim", "services/maassim", prefix + "services/lxdprovisioner", "the simulator shares no code with the service that it judges"},
	{"services/maassim", "services/maassim", prefix + "proto", "the simulator speaks MAAS's HTTP and nothing else"},
	{"proto", "proto", "k8s.io", "the contract is for anybody, not for Kubernetes alone"},
	{"proto", "proto", "github.com/stretchr/testify", "importers of the contract get no test library"},
	{"api", "api", "sigs.k8s.io/controller-runtime", "types are for anybody who reads them, not for controllers alone"},
	{"api", "api", "google.golang.org/grpc", "types are for anybody who reads them"},
}

func TestImports_go_only_where_the_architecture_lets_them(t *testing.T) {
	t.Parallel()
	packages := map[string][]listed{}
	for _, r := range rules {
		if packages[r.module] == nil {
			packages[r.module] = list(t, r.module)
		}
	}
	for _, r := range rules {
		name := strings.ReplaceAll(r.tree+" without "+strings.TrimPrefix(r.banned, prefix), "/", "_")
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			seen := false
			for _, p := range packages[r.module] {
				if !within(p.ImportPath, prefix+r.tree) {
					continue
				}
				seen = true
				for _, dep := range p.Deps {
					if within(dep, r.banned) {
						t.Errorf("%s reaches %s: %s", p.ImportPath, dep, r.why)
					}
				}
			}
			if !seen {
				t.Errorf("no package under %s: update the rule", r.tree)
			}
		})
	}
}

func TestImports_R8_1_one_package_speaks_to_MAAS(t *testing.T) {
	t.Parallel()
	var speakers []string
	for _, p := range list(t, "services/lxdprovisioner") {
		if slices.ContainsFunc(p.Imports, func(path string) bool { return within(path, "github.com/canonical/gomaasclient") }) {
			speakers = append(speakers, p.ImportPath)
		}
	}
	require.Equal(t, []string{prefix + "services/lxdprovisioner/internal/maas"}, speakers)
}

type listed struct {
	ImportPath string
	Name       string
	Dir        string
	GoFiles    []string
	Imports    []string
	Deps       []string
}

// list gives the packages of a module. The workspace is off: with it on, a module could reach what
// its own go.mod doesn't name.
func list(t *testing.T, module string) []listed {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Name,Dir,GoFiles,Imports,Deps", "./...")
	cmd.Dir, cmd.Stderr = "../../"+module, os.Stderr
	cmd.Env = append(os.Environ(), "GOWORK=off")
	out, err := cmd.Output()
	require.NoError(t, err, "go list in %s", module)
	var packages []listed
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			require.NoError(t, err)
		}
		packages = append(packages, p)
	}
}

// within says whether the package is of the tree. net/netip is arithmetic, not network.
func within(pkg, tree string) bool {
	return pkg == tree || strings.HasPrefix(pkg, tree+"/") && pkg != "net/netip"
}
