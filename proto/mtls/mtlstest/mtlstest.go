// Package mtlstest makes authorities and certificates for tests and demonstrations, in the form in
// which cert-manager writes them.
package mtlstest

import (
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/capmaas/capmaas/proto/mtls"
)

const (
	// lifetime is that of every certificate that names none: longer than any run.
	lifetime = 24 * time.Hour
	// backdated is how much earlier than its moment a certificate begins to hold.
	backdated = time.Hour
	// serialBits is the size of serial numbers; RFC 5280 allows 159.
	serialBits = 120
)

// Authority signs certificates.
type Authority struct {
	// PEM is the authority's own certificate.
	PEM []byte

	certificate *x509.Certificate
	key         crypto.Signer
	clock       func() time.Time
}

// Subject is who a certificate is for.
type Subject struct {
	// CommonName, DNSNames and URIs are the names; any may be empty.
	CommonName string
	DNSNames   []string
	URIs       []string
	// Organizations are groups, as Kubernetes reads them.
	Organizations []string
	// IPs are addresses at which a server is reached without a name.
	IPs []net.IP
	// Expired makes the certificate one that held until an hour ago.
	Expired bool
	// Lifetime is for how long the certificate holds from now on; a day where zero.
	Lifetime time.Duration
}

// Pair is a certificate and its key, as PEM.
type Pair struct{ Certificate, Key []byte }

// NewAuthority makes an authority.
func NewAuthority(name string, clock func() time.Time) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the authority's key: %w", err)
	}
	a := &Authority{key: key, clock: clock}
	template, err := a.template(Subject{CommonName: name})
	if err != nil {
		return nil, err
	}
	template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
	template.ExtKeyUsage = nil
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make the authority's certificate: %w", err)
	}
	if a.certificate, err = x509.ParseCertificate(der); err != nil {
		return nil, fmt.Errorf("read the authority's certificate: %w", err)
	}
	a.PEM = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return a, nil
}

// Load takes an authority that somebody else has made: its certificate and its key, as PEM.
func Load(certificate, key []byte, clock func() time.Time) (*Authority, error) {
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return nil, fmt.Errorf("read an authority: %w", err)
	}
	signer, ok := pair.PrivateKey.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("read an authority: a %T signs nothing", pair.PrivateKey)
	}
	return &Authority{PEM: certificate, certificate: pair.Leaf, key: signer, clock: clock}, nil
}

// Issue makes a certificate that holds for servers and clients.
func (a *Authority) Issue(s Subject) (Pair, error) {
	template, err := a.template(s)
	if err != nil {
		return Pair{}, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, fmt.Errorf("make a key: %w", err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		return Pair{}, fmt.Errorf("make a certificate for %q: %w", s.CommonName, err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Pair{}, fmt.Errorf("write a key: %w", err)
	}
	return Pair{
		Certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		Key:         pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}),
	}, nil
}

func (a *Authority) template(s Subject) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), serialBits))
	if err != nil {
		return nil, fmt.Errorf("draw a serial number: %w", err)
	}
	from, until := a.clock().Add(-backdated), a.clock().Add(cmp.Or(s.Lifetime, lifetime))
	if s.Expired {
		from, until = from.Add(-lifetime), from
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: s.CommonName, Organization: s.Organizations}, NotBefore: from, NotAfter: until,
		DNSNames: s.DNSNames, IPAddresses: s.IPs,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, text := range s.URIs {
		uri, err := url.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("name a certificate: %w", err)
		}
		template.URIs = append(template.URIs, uri)
	}
	return template, nil
}

// Mount issues a certificate and mounts it, with the authority's own, in a new or an old directory.
func (a *Authority) Mount(dir string, s Subject) error {
	pair, err := a.Issue(s)
	if err != nil {
		return err
	}
	return Mount(dir, pair, a)
}

// Mount lays out a certificate and the authorities that are trusted as the kubelet mounts a Secret:
// the files are links into a directory that is exchanged as a whole.
func Mount(dir string, pair Pair, trusted ...*Authority) error {
	var bundle []byte
	for _, a := range trusted {
		bundle = append(bundle, a.PEM...)
	}
	return MountFiles(dir, map[string][]byte{mtls.CertificateFile: pair.Certificate, mtls.KeyFile: pair.Key, mtls.AuthorityFile: bundle})
}

// data is the link that the kubelet exchanges.
const data = "..data"

// MountFiles lays out files as the kubelet mounts a Secret, and exchanges those of an earlier call at
// once.
func MountFiles(dir string, files map[string][]byte) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make %s: %w", dir, err)
	}
	content, err := os.MkdirTemp(dir, "..")
	if err != nil {
		return fmt.Errorf("make a directory for the files: %w", err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(content, name), text, 0o600); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
		if err := os.Symlink(filepath.Join(data, name), filepath.Join(dir, name)); err != nil && !os.IsExist(err) {
			return fmt.Errorf("link %s: %w", name, err)
		}
	}
	old, _ := os.Readlink(filepath.Join(dir, data))
	next := filepath.Join(dir, "..data_tmp")
	if err := os.Symlink(filepath.Base(content), next); err != nil {
		return fmt.Errorf("link the files: %w", err)
	}
	if err := os.Rename(next, filepath.Join(dir, data)); err != nil {
		return fmt.Errorf("exchange the files: %w", err)
	}
	if old == "" {
		return nil
	}
	return os.RemoveAll(filepath.Join(dir, old))
}
