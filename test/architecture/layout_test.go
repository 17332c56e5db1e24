package architecture_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"github.com/capmaas/capmaas/proto/errorinfo"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// longest is how many lines a product file may have.
const longest = 400

func TestFiles_of_the_product_are_at_most_400_lines_long(t *testing.T) {
	t.Parallel()
	walkSources(t, func(path string) {
		if strings.HasSuffix(path, "_test.go") {
			return
		}
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		if n := bytes.Count(text, []byte("\n")); n > longest {
			t.Errorf("%s has %d lines, more than %d: split it by idea", path, n, longest)
		}
	})
}

func TestPackages_have_exactly_one_package_comment(t *testing.T) {
	t.Parallel()
	for _, module := range []string{"proto", "api", "services/lxdprovisioner", "services/maassim", "controllers", "cmd/maaslxd", "test"} {
		for _, p := range list(t, module) {
			var with []string
			for _, name := range p.GoFiles {
				f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.ParseComments|parser.PackageClauseOnly)
				require.NoError(t, err)
				if f.Doc != nil && !ast.IsGenerated(f) {
					with = append(with, name)
				}
			}
			generated := strings.HasSuffix(p.ImportPath, "/lxdprovisioner/v1")
			if len(with) != 1 && !generated {
				t.Errorf("%s has %d package comments (%v), want one", p.ImportPath, len(with), with)
			}
		}
	}
}

func TestServer_files_each_have_a_test_beside_them(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../services/lxdprovisioner/internal/server/*.go")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, f := range files {
		if strings.HasSuffix(f, "_test.go") || filepath.Base(f) == "doc.go" {
			continue
		}
		assert.FileExists(t, strings.TrimSuffix(f, ".go")+"_test.go")
	}
}

func TestDocs_errors_names_every_kind_and_every_reason(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/errors.md")
	require.NoError(t, err)
	for _, kind := range errorinfo.Kinds() {
		assert.Contains(t, string(text), "| "+string(kind)+" |", "docs/errors.md has no row for kind %s", kind)
	}
	for number := range lxdprovisionerv1.Reason_name {
		if number != 0 {
			assert.Contains(t, string(text), errorinfo.Word(lxdprovisionerv1.Reason(number)))
		}
	}
}

func TestContract_suite_calls_every_RPC(t *testing.T) {
	t.Parallel()
	suite := readAll(t, "../../proto/provisionertest/*.go")
	for _, desc := range []grpc.ServiceDesc{
		lxdprovisionerv1.LXDProvisioner_ServiceDesc, lxdprovisionerv1.BareMetalProvisioner_ServiceDesc, lxdprovisionerv1.RegionProvisioner_ServiceDesc,
	} {
		for _, m := range desc.Methods {
			assert.Contains(t, suite, "."+m.MethodName+"(", "RunContract never calls %s", m.MethodName)
		}
		for _, s := range desc.Streams {
			assert.Contains(t, suite, "."+s.StreamName+"(", "RunContract never calls %s", s.StreamName)
		}
	}
}

func readAll(t *testing.T, pattern string) string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	require.NoError(t, err)
	var all strings.Builder
	for _, f := range files {
		text, err := os.ReadFile(f)
		require.NoError(t, err)
		all.Write(text)
	}
	return all.String()
}
