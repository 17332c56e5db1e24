package maaslxd_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/capmaas/capmaas/proto/mtls"
	"github.com/capmaas/capmaas/proto/mtls/mtlstest"
	serviceapp "github.com/capmaas/capmaas/services/lxdprovisioner/app"
	"github.com/capmaas/capmaas/services/maassim"
)

const operator = "capmaas-operator"

// newTLSBed is a bed whose service wants certificates of an authority.
func newTLSBed(t *testing.T) (*bed, *mtlstest.Authority) {
	t.Helper()
	authority, err := mtlstest.NewAuthority("capmaas", time.Now)
	require.NoError(t, err)
	dir := filepath.Join(t.TempDir(), "service")
	require.NoError(t, authority.Mount(dir, mtlstest.Subject{CommonName: mtls.ServerName, DNSNames: []string{mtls.ServerName}}))
	b := newBed(t, maassim.DefaultConfig(2, 2, 0), func(c *serviceapp.Config) { c.TLSDir = dir })
	b.flags = []string{"--address", b.service.Address, "--kubeconfig", b.kubeconfig, "-n", b.namespace}
	return b, authority
}

func TestMaaslxd_reaches_the_service_with_the_operator_s_certificate(t *testing.T) {
	t.Parallel()
	b, authority := newTLSBed(t)
	mount := func(name string, from *mtlstest.Authority, subject mtlstest.Subject) string {
		dir := filepath.Join(t.TempDir(), name)
		require.NoError(t, from.Mount(dir, subject))
		return dir
	}
	managers := mount("managers", authority, mtlstest.Subject{CommonName: "somebody", DNSNames: []string{"capmaas-manager", "elsewhere"}})
	r := decode[report](t, b, "doctor", "--tls-dir", managers)
	assert.Equal(t, "warning", r.says(t, "the client certificate is the manager's"), "any of its names makes it that: %+v", r.Findings)
	own := mount("own", authority, mtlstest.Subject{CommonName: operator, DNSNames: []string{operator}})

	t.Run("of_a_directory", func(t *testing.T) {
		got := b.run(t, "hosts", "--tls-dir", own)
		assert.Equal(t, 0, got.status, got.err)
		assert.Contains(t, got.out, "lxd-1")
		r := decode[report](t, b, "doctor", "--tls-dir", own)
		assert.Equal(t, "ok", r.says(t, "the service's certificate ("+mtls.ServerName+") holds until"), "%+v", r.Findings)
		assert.Equal(t, "ok", r.says(t, "the client certificate ("+operator+") holds until"), "%+v", r.Findings)
	})
	t.Run("of_single_files", func(t *testing.T) {
		got := b.run(t, "plan", "--cert", filepath.Join(own, mtls.CertificateFile), "--key", filepath.Join(own, mtls.KeyFile), "--ca", filepath.Join(own, mtls.AuthorityFile))
		assert.Equal(t, 0, got.status, got.err)
	})
	t.Run("of_the_Secret_in_the_cluster", func(t *testing.T) {
		got := b.run(t, "hosts", "--service-namespace", b.namespace)
		assert.Equal(t, 1, got.status)
		assert.Contains(t, got.err, `secrets "capmaas-operator-tls" not found`)
		data := map[string][]byte{}
		for _, name := range []string{mtls.CertificateFile, mtls.KeyFile, mtls.AuthorityFile} {
			text, err := os.ReadFile(filepath.Join(own, name))
			require.NoError(t, err)
			data[name] = text
		}
		require.NoError(t, b.client.Create(t.Context(), &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: b.namespace, Name: "capmaas-operator-tls"}, Data: data, Type: corev1.SecretTypeTLS,
		}))
		got = b.run(t, "hosts", "--service-namespace", b.namespace)
		assert.Equal(t, 0, got.status, got.err)
	})
	t.Run("and_with_no_other", func(t *testing.T) {
		stranger, err := mtlstest.NewAuthority("stranger", time.Now)
		require.NoError(t, err)
		for name, args := range map[string][]string{
			"of a stranger's authority": {"--tls-dir", mount("stranger", stranger, mtlstest.Subject{CommonName: operator})},
			"that has ended":            {"--tls-dir", mount("ended", authority, mtlstest.Subject{CommonName: operator, Expired: true})},
			"for another server":        {"--tls-dir", own, "--server-name", "somebody-else"},
			"none at all":               {"--insecure"},
		} {
			got := b.run(t, append([]string{"hosts", "--timeout", "20s"}, args...)...)
			assert.Equal(t, 1, got.status, name)
			assert.Contains(t, got.err, "what to do", name)
			assert.Empty(t, got.out, name)
		}
	})
	t.Run("whose_name_may_not_ask", func(t *testing.T) {
		got := b.run(t, "hosts", "--tls-dir", mount("nobody", authority, mtlstest.Subject{CommonName: "nobody"}))
		assert.Equal(t, 1, got.status)
		assert.Contains(t, got.err, "CALLER_NOT_ALLOWED (Forbidden)")
	})
	t.Run("and_warns_of_the_manager_s", func(t *testing.T) {
		r := decode[report](t, b, "doctor", "--tls-dir", mount("manager", authority, mtlstest.Subject{CommonName: "capmaas-manager"}))
		assert.Equal(t, "warning", r.says(t, "the client certificate is the manager's"))
	})
}
