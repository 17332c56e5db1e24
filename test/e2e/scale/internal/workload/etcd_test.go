package workload_test

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/cluster-api/util/secret"
)

// unverified is a client that knows nobody and whom nobody knows.
func unverified(b *bed) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext: b.dial, DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}}
}

func TestEtcd_answers_at_its_members_name_with_a_certificate_of_its_own_authority(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	require.NoError(t, b.host.Boot(t.Context(), b.first(t)))
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(b.certificates.GetByPurpose(secret.EtcdCA).KeyPair.Cert)
	conn, err := b.dial(t.Context(), "tcp", b.endpoint)
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	member := tls.Client(conn, &tls.Config{ServerName: "etcd-cp-1", RootCAs: pool})
	require.NoError(t, member.HandshakeContext(t.Context()))
	assert.Equal(t, "etcd-cp-1", member.ConnectionState().PeerCertificates[0].Subject.CommonName)
}
