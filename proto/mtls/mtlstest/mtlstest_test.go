package mtlstest_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/proto/mtls/mtlstest"
)

func TestLoad_signs_with_an_authority_that_somebody_else_has_made(t *testing.T) {
	t.Parallel()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "theirs"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	authority, err := mtlstest.Load(certificate, pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}), time.Now)
	require.NoError(t, err)

	pair, err := authority.Issue(mtlstest.Subject{CommonName: "one", DNSNames: []string{"one.example"}})
	require.NoError(t, err)
	block, _ := pem.Decode(pair.Certificate)
	issued, err := x509.ParseCertificate(block.Bytes)
	require.NoError(t, err)
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(certificate)
	_, err = issued.Verify(x509.VerifyOptions{DNSName: "one.example", Roots: trusted})
	require.NoError(t, err)
}

func TestLoad_refuses_a_key_that_is_not_the_certificates(t *testing.T) {
	t.Parallel()
	authority, err := mtlstest.NewAuthority("ours", time.Now)
	require.NoError(t, err)
	other, err := mtlstest.NewAuthority("other", time.Now)
	require.NoError(t, err)
	pair, err := other.Issue(mtlstest.Subject{CommonName: "one"})
	require.NoError(t, err)
	_, err = mtlstest.Load(authority.PEM, pair.Key, time.Now)
	require.ErrorContains(t, err, "read an authority")
}
