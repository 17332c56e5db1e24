package maassim

import (
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
	"net/http"
	"slices"
	"strings"
	"time"
)

// plainPrefixes are what a MAAS with TLS still serves on its plain port; machines/ is among them so that machines can report home.
var plainPrefixes = []string{"/MAAS/rpc", "/MAAS/metadata", "/MAAS/images-stream", "/MAAS/boot-resources", "/MAAS/api/2.0/machines"}

// redirected reports whether the plain port of a MAAS with TLS redirects a path.
func redirected(path string) bool {
	return strings.HasPrefix(path, "/MAAS") && !slices.ContainsFunc(plainPrefixes, func(p string) bool { return strings.HasPrefix(path, p) })
}

// redirect answers as nginx does: 301 for every method, which makes a GET of a POST in most clients.
func redirect(w http.ResponseWriter, to string) {
	w.Header().Set("Location", to)
	w.Header().Set("Content-Type", "text/html")
	w.Header().Set("Server", "nginx/1.18.0 (Ubuntu)")
	w.WriteHeader(http.StatusMovedPermanently)
	_, _ = w.Write([]byte("<html>\r\n<head><title>301 Moved Permanently</title></head>\r\n<body>\r\n<center><h1>301 Moved Permanently</h1></center>\r\n" +
		"<hr><center>nginx/1.18.0 (Ubuntu)</center>\r\n</body>\r\n</html>\r\n"))
}

// certificate reads the configured certificate, or makes one for the hosts.
func (c Config) certificate(hosts ...string) (tls.Certificate, error) {
	if c.TLSCertificate == "" && c.TLSKey == "" {
		return selfSigned(c.AuthClock(), hosts)
	}
	pair, err := tls.LoadX509KeyPair(c.TLSCertificate, c.TLSKey)
	if err != nil {
		return pair, fmt.Errorf("read the certificate: %w", err)
	}
	return pair, nil
}

func selfSigned(now time.Time, hosts []string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make a key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "simulated MAAS"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(1, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make a certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

// pemOf writes the chain of a certificate.
func pemOf(pair tls.Certificate) []byte {
	var chain []byte
	for _, der := range pair.Certificate {
		chain = append(chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	return chain
}
