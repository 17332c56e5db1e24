package diagnosis

import (
	"crypto/x509"
	"slices"
	"strings"
	"time"

	"github.com/capmaas/capmaas/cmd/maaslxd/internal/service"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

const (
	// late is which part of a certificate's time is left when it should long have been renewed: cert-manager does so at a third.
	late = 4
	// manager is the identity that may change things; a person's is the operator's.
	manager = "capmaas-manager"
)

// transport looks at how the service is spoken to.
func (d *Doctor) transport(n *notes, c *service.Client) {
	if c.Insecure {
		n.addf(Warning, "give the service certificates and leave --insecure out: user data holds join tokens", "everything goes in the clear")
		return
	}
	if state := c.ServerCertificate(); state != nil && len(state.PeerCertificates) > 0 {
		d.certificate(n, "the service's certificate", state.PeerCertificates[0])
	}
	if c.Own == nil {
		n.addf(Warning, "give --tls-dir a directory with the operator's certificate", "no client certificate: the service does not know who asks")
		return
	}
	leaf, err := x509.ParseCertificate(c.Own.Certificate[0])
	if err != nil {
		n.addf(Wrong, "have the certificate issued anew", "the client certificate can't be read: %s", err)
		return
	}
	d.certificate(n, "the client certificate", leaf)
	if leaf.Subject.CommonName == manager || slices.Contains(leaf.DNSNames, manager) {
		n.addf(Warning, "use the operator's certificate, of the Secret "+service.OperatorSecret, "the client certificate is the manager's, which may change everything")
	}
}

func (d *Doctor) certificate(n *notes, which string, c *x509.Certificate) {
	if left := c.NotAfter.Sub(d.Clock()); left < c.NotAfter.Sub(c.NotBefore)/late {
		n.addf(Warning, "see why it is not renewed: cert-manager's Certificate and its events", "%s (%s) ends on %s", which, names(c), c.NotAfter.UTC().Format(time.RFC3339))
		return
	}
	n.okf("%s (%s) holds until %s", which, names(c), c.NotAfter.UTC().Format(time.RFC3339))
}

// names are those for which a certificate stands, its common name first.
func names(c *x509.Certificate) string {
	all := c.DNSNames
	if cn := c.Subject.CommonName; cn != "" {
		all = append([]string{cn}, without(all, cn)...)
	}
	return strings.Join(all, ", ")
}

func without(all []string, one string) []string {
	var kept []string
	for _, s := range all {
		if s != one {
			kept = append(kept, s)
		}
	}
	return kept
}

// versions compares the command's version with the service's. Builds without a version are not compared.
func (d *Doctor) versions(n *notes, region *lxdprovisionerv1.GetRegionResponse) {
	theirs := region.GetServiceVersion()
	if isRelease(d.Version) && isRelease(theirs) && d.Version != theirs {
		n.addf(Warning, "use a maaslxd of the service's version", "maaslxd is %s, the service %s", d.Version, theirs)
		return
	}
	n.okf("maaslxd %s, service %s", d.Version, theirs)
}

// isRelease says whether a version is one of a tag.
func isRelease(version string) bool {
	return len(version) > 1 && version[0] == 'v' && version[1] >= '0' && version[1] <= '9'
}
