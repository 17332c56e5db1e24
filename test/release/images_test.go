package release_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/x509"
	"debug/buildinfo"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/test/apiserver"
)

// commit and epoch stand for those of the release.
const (
	commit = "0123456789abcdef0123456789abcdef01234567"
	epoch  = "1767225600"
)

// descriptor, manifest and configuration are what is read of OCI's formats.
type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Platform    map[string]string `json:"platform"`
	Annotations map[string]string `json:"annotations"`
}

type manifest struct {
	Manifests []descriptor `json:"manifests"`
	Config    descriptor   `json:"config"`
	Layers    []descriptor `json:"layers"`
}

type configuration struct {
	Created      string `json:"created"`
	Architecture string `json:"architecture"`
	OS           string `json:"os"`
	Config       struct {
		User       string            `json:"User"`
		Env        []string          `json:"Env"`
		Entrypoint []string          `json:"Entrypoint"`
		Labels     map[string]string `json:"Labels"`
	} `json:"config"`
}

// archive is an OCI layout in a tar file.
type archive map[string][]byte

// packed builds an image of the simulator, the smallest of the programs, from a copy of its sources, so that where they
// are has a chance to show.
func packed(t *testing.T, copyAt string) string {
	t.Helper()
	root, err := apiserver.Tree()
	require.NoError(t, err)
	for _, dir := range []string{"services/maassim", "tools/images"} {
		require.NoError(t, os.CopyFS(filepath.Join(copyAt, dir), os.DirFS(filepath.Join(root, dir))))
	}
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(copyAt, "Makefile"), makefile, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(copyAt, "go.work"), []byte("go 1.26.0\n\nuse ./services/maassim\n"), 0o600))
	cmd := exec.CommandContext(t.Context(), "make", "-C", copyAt, "image-tarballs", "RELEASE_GO=local", "IMAGES=maassim", "PLATFORMS=linux/"+runtime.GOARCH,
		"VERSION="+version, "REGISTRY="+registry, "REVISION="+commit, "SOURCE_DATE_EPOCH="+epoch)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return filepath.Join(copyAt, "dist", "images")
}

func TestImages_built_twice_are_the_same_bytes_and_say_what_is_in_them(t *testing.T) {
	t.Parallel()
	first := packed(t, filepath.Join(t.TempDir(), "here"))
	second := packed(t, filepath.Join(t.TempDir(), "and", "elsewhere"))
	files, err := os.ReadDir(first)
	require.NoError(t, err)
	require.Len(t, files, 2, "the image and its SBOM")
	for _, entry := range files {
		one, err := os.ReadFile(filepath.Join(first, entry.Name()))
		require.NoError(t, err)
		two, err := os.ReadFile(filepath.Join(second, entry.Name()))
		require.NoError(t, err)
		assert.True(t, bytes.Equal(one, two), "%s differs", entry.Name())
	}
	layout := readTar(t, filepath.Join(first, "capmaas-maassim-"+version+".tar"))
	program := assertImage(t, layout)
	assertSBOM(t, filepath.Join(first, "capmaas-maassim-"+version+"-linux-"+runtime.GOARCH+".cdx.json"), program)
}

// assertImage walks from the layout's index to the files, and gives the path of the program that it found.
func assertImage(t *testing.T, layout archive) string {
	t.Helper()
	var top, index, image manifest
	require.NoError(t, json.Unmarshal(layout["index.json"], &top))
	require.Len(t, top.Manifests, 1)
	assert.Equal(t, registry+"/capmaas-maassim:"+version, top.Manifests[0].Annotations["io.containerd.image.name"])
	layout.blob(t, top.Manifests[0], &index)
	assert.NotContains(t, string(layout[blobPath(top.Manifests[0])]), "artifactType", "skopeo drops it, and the digest would be another")
	require.Len(t, index.Manifests, 1)
	assert.Equal(t, map[string]string{"os": "linux", "architecture": runtime.GOARCH}, index.Manifests[0].Platform)
	layout.blob(t, index.Manifests[0], &image)

	var config configuration
	layout.blob(t, image.Config, &config)
	assert.Equal(t, "65532:65532", config.Config.User, "the number that the manifests demand")
	assert.Equal(t, []string{"/maassim"}, config.Config.Entrypoint)
	assert.Equal(t, "2026-01-01T00:00:00Z", config.Created, "the commit's time")
	assert.Equal(t, version, config.Config.Labels["org.opencontainers.image.version"])
	assert.Equal(t, commit, config.Config.Labels["org.opencontainers.image.revision"])

	files := archive{}
	for _, layer := range image.Layers {
		unpacked, err := gzip.NewReader(bytes.NewReader(layout[blobPath(layer)]))
		require.NoError(t, err)
		maps.Copy(files, untar(t, unpacked))
	}
	assert.Contains(t, string(files["etc/passwd"]), "nonroot:x:65532:65532:")
	assert.Contains(t, files, "tmp/")
	pool := x509.NewCertPool()
	assert.True(t, pool.AppendCertsFromPEM(files["etc/ssl/certs/ca-certificates.crt"]))
	block, _ := pem.Decode(files["etc/ssl/certs/ca-certificates.crt"])
	require.NotNil(t, block)
	assert.Greater(t, bytes.Count(files["etc/ssl/certs/ca-certificates.crt"], []byte("BEGIN CERTIFICATE")), 50)
	assert.Contains(t, config.Config.Env, "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt")

	program := filepath.Join(t.TempDir(), "maassim")
	require.NoError(t, os.WriteFile(program, files["maassim"], 0o700))
	if runtime.GOOS == "linux" {
		assert.Equal(t, version, strings.TrimSpace(run(t, "", nil, program, "--version")))
	}
	return program
}

// assertSBOM holds the SBOM against what the linker recorded in the program.
func assertSBOM(t *testing.T, file, program string) {
	t.Helper()
	type component struct {
		Name    string `json:"name"`
		Version string `json:"version"`
		URL     string `json:"purl"`
	}
	var bom struct {
		Format       string `json:"bomFormat"`
		SerialNumber string `json:"serialNumber"`
		Metadata     struct {
			Component component `json:"component"`
		} `json:"metadata"`
		Components []component `json:"components"`
	}
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &bom))
	assert.Equal(t, "CycloneDX", bom.Format)
	assert.Regexp(t, `^urn:uuid:[0-9a-f-]{36}$`, bom.SerialNumber)
	assert.Equal(t, "capmaas-maassim", bom.Metadata.Component.Name)
	assert.Equal(t, version, bom.Metadata.Component.Version)

	info, err := buildinfo.ReadFile(program)
	require.NoError(t, err)
	listed := map[string]string{}
	for _, c := range bom.Components {
		listed[c.Name] = c.Version
		assert.True(t, strings.HasPrefix(c.URL, "pkg:golang/"+c.Name+"@"), c.URL)
	}
	assert.Equal(t, info.GoVersion, listed["std"])
	assert.NotEmpty(t, listed["golang.org/x/crypto/x509roots/fallback"], "where the authorities are from")
	for _, dep := range info.Deps {
		assert.Equal(t, dep.Version, listed[dep.Path], dep.Path)
	}
	assert.Len(t, listed, len(info.Deps)+2)
}

func (a archive) blob(t *testing.T, d descriptor, into any) {
	t.Helper()
	content, found := a[blobPath(d)]
	require.True(t, found, d.Digest)
	require.NoError(t, json.Unmarshal(content, into))
}

func blobPath(d descriptor) string { return "blobs/" + strings.ReplaceAll(d.Digest, ":", "/") }

func readTar(t *testing.T, file string) archive {
	t.Helper()
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	return untar(t, bytes.NewReader(content))
}

// untar gives the content of every file by its name; directories have none.
func untar(t *testing.T, from io.Reader) archive {
	t.Helper()
	all := archive{}
	reader := tar.NewReader(from)
	for {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		require.NoError(t, err)
		content, err := io.ReadAll(reader)
		require.NoError(t, err)
		all[header.Name] = content
	}
}
