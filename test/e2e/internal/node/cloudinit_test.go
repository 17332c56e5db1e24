package node_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/test/e2e/internal/node"
)

// bootstrap has the form in which Cluster API's kubeadm provider writes user data.
const bootstrap = `## template: jinja
#cloud-config

write_files:
-   path: /etc/kubernetes/pki/ca.key
    owner: root:root
    permissions: '0600'
    content: |
      a key
-   path: /run/kubeadm/kubeadm.yaml
    owner: root:root
    permissions: '0640'
    content: |
      nodeRegistration: {name: '{{ ds.meta_data.local_hostname }}'}
      localAPIEndpoint: {advertiseAddress: '{{ v1.local_hostname }}'}
-   path: /etc/encoded
    encoding: base64
    content: aGVsbG8K
-   path: /etc/packed
    encoding: gzip+base64
    content: PACKED
-   path: /etc/encoded
    append: true
    content: again
runcmd:
  - 'echo before > ROOT/before && false'
  - [touch, "ROOT/it's here", 'ROOT/$HOME']
  - 'kubeadm-is-not-here --config /run/kubeadm/kubeadm.yaml && echo success > ROOT/success'
  - "echo all done"
`

func TestRun_does_with_user_data_what_cloud_init_does(t *testing.T) {
	t.Parallel()
	root := newRoot(t)
	boot(t, configure(t, "cp-1", root, userData(root, replacePacked(t, bootstrap, "packed text"))))

	awaitFile(t, root, "var/log/cloud-init-output.log", "\nall done")

	for name, want := range map[string]string{
		"etc/kubernetes/pki/ca.key": "a key\n",
		"run/kubeadm/kubeadm.yaml":  "nodeRegistration: {name: 'cp-1'}\nlocalAPIEndpoint: {advertiseAddress: 'cp-1'}\n",
		"etc/encoded":               "hello\nagain",
		"etc/packed":                "packed text",
		"before":                    "before\n",
		"it's here":                 "",
		"$HOME":                     "",
	} {
		text, err := os.ReadFile(filepath.Join(root, name))
		require.NoError(t, err)
		assert.Equal(t, want, string(text), name)
	}
	for name, want := range map[string]os.FileMode{"etc/kubernetes/pki/ca.key": 0o600, "run/kubeadm/kubeadm.yaml": 0o640, "etc/encoded": 0o644} {
		info, err := os.Stat(filepath.Join(root, name))
		require.NoError(t, err)
		assert.Equal(t, want, info.Mode().Perm(), name)
	}
	assert.NoFileExists(t, filepath.Join(root, "success"), "a command that is not there succeeds at nothing")
}

func TestRun_leaves_the_hostname_of_a_text_without_template_alone(t *testing.T) {
	t.Parallel()
	root := newRoot(t)
	boot(t, configure(t, "cp-1", root, userData(root, "#cloud-config\nruncmd: [\"echo '{{ ds.meta_data.local_hostname }}'\"]\n")))

	awaitFile(t, root, "var/log/cloud-init-output.log", "\n{{ ds.meta_data.local_hostname }}\n")
}

func TestRun_ends_where_user_data_are_no_use(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ text, want string }{
		"without_the_first_line":        {"runcmd: [ls]", "no cloud-config"},
		"that_are_no_yaml":              {"#cloud-config\nruncmd: [", "read the user data"},
		"whose_command_is_a_number":     {"#cloud-config\nruncmd: [7]", "neither text nor a list"},
		"whose_permissions_are_no_bits": {"#cloud-config\nwrite_files: [{path: /etc/x, permissions: rw}]", "permissions of /etc/x"},
		"whose_base64_is_none":          {"#cloud-config\nwrite_files: [{path: /etc/x, encoding: b64, content: '***'}]", "decode /etc/x"},
		"whose_gzip_is_none":            {"#cloud-config\nwrite_files: [{path: /etc/x, encoding: gz+b64, content: aGVsbG8K}]", "decode /etc/x"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := newRoot(t)

			err := node.Run(t.Context(), configure(t, "cp-1", root, userData(root, tc.text)))

			require.ErrorContains(t, err, "run cloud-init: ")
			require.ErrorContains(t, err, tc.want)
		})
	}
}

func TestRun_ends_where_nobody_has_its_user_data(t *testing.T) {
	t.Parallel()

	err := node.Run(t.Context(), configure(t, "cp-1", newRoot(t), http.NotFoundHandler()))

	require.ErrorContains(t, err, "fetch the user data: 404")
}

func replacePacked(t *testing.T, text, content string) string {
	t.Helper()
	var packed bytes.Buffer
	writer := gzip.NewWriter(&packed)
	_, err := writer.Write([]byte(content))
	require.NoError(t, err)
	require.NoError(t, writer.Close())
	return strings.ReplaceAll(text, "PACKED", base64.StdEncoding.EncodeToString(packed.Bytes()))
}
