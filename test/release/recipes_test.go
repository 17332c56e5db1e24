package release_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/capmaas/capmaas/test/apiserver"
)

// koConfig is all of .ko.yaml: a field that is not here makes the test fail.
type koConfig struct {
	DefaultBaseImage string   `json:"defaultBaseImage"`
	DefaultPlatforms []string `json:"defaultPlatforms"`
	Builds           []struct {
		ID      string   `json:"id"`
		Main    string   `json:"main"`
		Env     []string `json:"env"`
		Flags   []string `json:"flags"`
		Ldflags []string `json:"ldflags"`
	} `json:"builds"`
}

// TestRecipes holds .ko.yaml against what make would run.
func TestRecipes_of_ko_and_make_build_the_same(t *testing.T) {
	t.Parallel()
	text := read(t, ".ko.yaml")
	var ko koConfig
	require.NoError(t, yaml.UnmarshalStrict([]byte(text), &ko))
	assert.Contains(t, ko.DefaultBaseImage, ":nonroot")
	made := makeRuns(t, "image-tarballs", "VERSION=VERSION")
	for _, platform := range ko.DefaultPlatforms {
		assert.Contains(t, made, "/programs/"+platform+"/")
	}
	var ids []string
	for _, b := range ko.Builds {
		ids = append(ids, b.ID)
		want := "go build -ldflags '" + strings.ReplaceAll(strings.Join(b.Ldflags, " "), "{{.Env.VERSION}}", "VERSION") + "' "
		found := slices.ContainsFunc(strings.Split(made, "\n"), func(line string) bool {
			return strings.HasPrefix(line, want) && strings.HasSuffix(line, " "+b.Main)
		})
		assert.True(t, found, "make builds no %s with\n%s\nbut\n%s", b.Main, want, made)
		assert.Contains(t, made, "GOFLAGS='"+strings.Join(b.Flags, " ")+"'")
		assert.Equal(t, []string{"CGO_ENABLED=0"}, b.Env)
	}
	assert.Regexp(t, `bin/images [^\n]*\\\n[^\n]* `+strings.Join(ids, " "), made, "the same programs")
}

// TestRecipes_Dockerfile reads the Dockerfile without an engine: it calls make, so there is little to go wrong.
func TestRecipes_of_the_Dockerfile_call_make_with_the_Go_of_releases(t *testing.T) {
	t.Parallel()
	file := read(t, "Dockerfile")
	release := regexp.MustCompile(`(?m)^RELEASE_GO := go(.*)$`).FindStringSubmatch(read(t, "Makefile"))
	require.NotNil(t, release)
	assert.Contains(t, file, "ARG GO_VERSION="+release[1]+"\n")
	assert.Contains(t, file, "GOFLAGS='-trimpath -buildvcs=false'")
	assert.Contains(t, file, `make "build-${PROGRAM}"`)
	assert.Contains(t, file, "USER 65532:65532\n")
	assert.Contains(t, file, "FROM gcr.io/distroless/static-debian12:nonroot\n")
}

func TestRecipes_of_images_make_those_that_the_release_runs(t *testing.T) {
	t.Parallel()
	components, err := os.ReadFile(filepath.Join(dist(t), "infrastructure-components.yaml"))
	require.NoError(t, err)
	var images []string
	for _, found := range regexp.MustCompile(`(?m)^ +image: (\S+)$`).FindAllStringSubmatch(string(components), -1) {
		images = append(images, found[1])
	}
	assert.ElementsMatch(t, []string{registry + "/capmaas-manager:" + version, registry + "/capmaas-lxdprovisioner:" + version}, images)
	made := makeRuns(t, "image-tarballs")
	for _, image := range images {
		program := strings.TrimSuffix(strings.TrimPrefix(image, registry+"/capmaas-"), ":"+version)
		assert.Contains(t, made, "/"+program+" ", image)
	}
}

// makeRuns gives the commands that make would run.
func makeRuns(t *testing.T, args ...string) string {
	t.Helper()
	root, err := apiserver.Tree()
	require.NoError(t, err)
	return run(t, "", nil, "make", append([]string{"--directory", root, "--no-print-directory", "--dry-run"}, args...)...)
}

func read(t *testing.T, name string) string {
	t.Helper()
	root, err := apiserver.Tree()
	require.NoError(t, err)
	text, err := os.ReadFile(filepath.Join(root, name))
	require.NoError(t, err)
	return string(text)
}
