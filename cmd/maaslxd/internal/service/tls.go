package service

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/capmaas/capmaas/proto/mtls"
)

// Certificates are PEM texts. They are held in memory, for they may come from a Secret: a key is not put on an operator's disk.
type Certificates struct {
	// Cert and Key are the client's; both may be empty.
	Cert, Key []byte
	// CA signed the service's; the system's authorities are asked where it is empty.
	CA []byte
	// From says where they were found.
	From string
}

// files reads the certificates that the options name; nil where they name none.
func (o *Options) files() (*Certificates, error) {
	cert, key, ca := o.Cert, o.Key, o.CA
	if o.TLSDir != "" {
		cert = cmp.Or(cert, filepath.Join(o.TLSDir, mtls.CertificateFile))
		key = cmp.Or(key, filepath.Join(o.TLSDir, mtls.KeyFile))
		ca = cmp.Or(ca, filepath.Join(o.TLSDir, mtls.AuthorityFile))
	}
	switch {
	case cert == "" && key == "" && ca == "":
		return nil, nil //nolint:nilnil // no certificate named is no error
	case (cert == "") != (key == ""):
		return nil, errors.New("--cert and --key go together")
	}
	found := &Certificates{From: cmp.Or(o.TLSDir, cert, ca)}
	for _, f := range []struct {
		path string
		to   *[]byte
	}{{cert, &found.Cert}, {key, &found.Key}, {ca, &found.CA}} {
		if f.path == "" {
			continue
		}
		text, err := os.ReadFile(f.path)
		if err != nil {
			return nil, fmt.Errorf("read the certificates: %w", err)
		}
		*f.to = text
	}
	return found, nil
}

// config makes TLS of the certificates.
func (c *Certificates) config(serverName string) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS13, ServerName: serverName}
	if len(c.CA) > 0 {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(c.CA) {
			return nil, fmt.Errorf("no certificate of an authority in %s", c.From)
		}
	}
	if len(c.Cert) > 0 {
		pair, err := tls.X509KeyPair(c.Cert, c.Key)
		if err != nil {
			return nil, fmt.Errorf("client certificate of %s: %w", c.From, err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}
