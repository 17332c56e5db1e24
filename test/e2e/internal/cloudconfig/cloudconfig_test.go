package cloudconfig_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/test/e2e/internal/cloudconfig"
)

const userData = `## template: jinja
#cloud-config

write_files:
-   path: /run/kubeadm/kubeadm.yaml
    permissions: '0640'
    content: |
      name: '{{ ds.meta_data.local_hostname }}'
runcmd:
- kubeadm init
- [echo, "it's"]
`

func TestParse_puts_the_hostname_where_its_template_stands(t *testing.T) {
	t.Parallel()
	config, err := cloudconfig.Parse([]byte(userData), "vm-1")
	require.NoError(t, err)
	require.Len(t, config.WriteFiles, 1)
	content, err := config.WriteFiles[0].Bytes()
	require.NoError(t, err)
	assert.Equal(t, "name: 'vm-1'\n", string(content))
}

func TestParse_refuses_what_is_no_cloud_config(t *testing.T) {
	t.Parallel()
	_, err := cloudconfig.Parse([]byte("#!/bin/sh\ntrue\n"), "vm-1")
	assert.ErrorContains(t, err, "no cloud-config")
}

func TestCommands_are_lines_of_shell(t *testing.T) {
	t.Parallel()
	config, err := cloudconfig.Parse([]byte(userData), "vm-1")
	require.NoError(t, err)
	lines, err := config.Commands()
	require.NoError(t, err)
	assert.Equal(t, []string{"kubeadm init", `'echo' 'it'\''s'`}, lines)
}

func TestBytes_undoes_base64_and_gzip(t *testing.T) {
	t.Parallel()
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, err := w.Write([]byte("content"))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	f := cloudconfig.File{Path: "/x", Encoding: "gzip+base64", Content: base64.StdEncoding.EncodeToString(packed.Bytes()) + "\n"}
	content, err := f.Bytes()
	require.NoError(t, err)
	assert.Equal(t, "content", string(content))
}
