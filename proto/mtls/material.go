package mtls

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
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
	// ends is until when each file serves.
	ends map[string]time.Time
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
	m := &material{authorities: x509.NewCertPool(), ends: map[string]time.Time{}}
	var err error
	if m.certificate, err = tls.X509KeyPair(certificate, key); err != nil {
		errs = append(errs, fmt.Errorf("%s and %s in %s: %w", CertificateFile, KeyFile, dir, err))
	}
	for _, shown := range certificates(certificate) {
		if end, known := m.ends[CertificateFile]; !known || shown.NotAfter.Before(end) {
			m.ends[CertificateFile] = shown.NotAfter
		}
	}
	for _, trusted := range certificates(authority) {
		m.authorities.AddCert(trusted)
		if trusted.NotAfter.After(m.ends[AuthorityFile]) {
			m.ends[AuthorityFile] = trusted.NotAfter
		}
	}
	if m.ends[AuthorityFile].IsZero() {
		errs = append(errs, fmt.Errorf("%s in %s holds no certificate", AuthorityFile, dir))
	}
	return m, errors.Join(errs...)
}

// certificates gives those of a PEM text. What is none is passed over, as Go does with bundles of authorities.
func certificates(text []byte) []*x509.Certificate {
	var all []*x509.Certificate
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		if one, err := x509.ParseCertificate(block.Bytes); err == nil {
			all = append(all, one)
		}
	}
	return all
}
