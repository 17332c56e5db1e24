package mtls

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// The files of the directory, by the names that cert-manager gives them in a Secret.
const (
	// CertificateFile holds the certificate and what leads from it to the authority, as PEM.
	CertificateFile = "tls.crt"
	// KeyFile holds the key of the certificate, as PEM.
	KeyFile = "tls.key"
	// AuthorityFile holds the authorities that sign the other side's certificates, as PEM. While one
	// authority takes the place of another it holds both.
	AuthorityFile = "ca.crt"
)

// material is what the files held at one moment.
type material struct {
	certificate tls.Certificate
	authorities *x509.CertPool
}

// read reads the files. No error quotes them: one is a key.
func read(dir string) (*material, error) {
	var errs []error
	file := func(name string) []byte {
		content, err := os.ReadFile(filepath.Join(dir, name)) //nolint:gosec // the operator names the directory
		if err != nil {
			errs = append(errs, err)
		}
		return content
	}
	certificate, key, authority := file(CertificateFile), file(KeyFile), file(AuthorityFile)
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	m := &material{authorities: x509.NewCertPool()}
	var err error
	if m.certificate, err = tls.X509KeyPair(certificate, key); err != nil {
		errs = append(errs, fmt.Errorf("%s and %s in %s: %w", CertificateFile, KeyFile, dir, err))
	}
	if !m.authorities.AppendCertsFromPEM(authority) {
		errs = append(errs, fmt.Errorf("%s in %s holds no certificate", AuthorityFile, dir))
	}
	return m, errors.Join(errs...)
}
