package metrics

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"

	"github.com/prometheus/client_golang/prometheus"
)

// The reasons why a connection did not come to be. What none of them fits is otherRefusal.
const (
	noCertificate    = "no_certificate"
	unknownAuthority = "unknown_authority"
	expired          = "expired"
	badCertificate   = "bad_certificate"
	refusedByCaller  = "refused_by_caller"
	notTLS           = "not_tls"
	tooSlow          = "timeout"
	otherRefusal     = "other"
)

func newRefusals() *prometheus.CounterVec {
	refusals := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "lxdprovisioner_refused_connections_total",
		Help: "Connections on which no TLS came to be, by reason: no_certificate, unknown_authority, expired (or not valid yet) and bad_certificate say what is wrong with the caller's; refused_by_caller, not_tls, timeout, other.",
	}, []string{"reason"})
	// From the start, so that the first refusal is a rise.
	for _, reason := range []string{noCertificate, unknownAuthority, expired, badCertificate, refusedByCaller, notTLS, tooSlow, otherRefusal} {
		refusals.WithLabelValues(reason)
	}
	return refusals
}

// RefusedConnection counts a connection whose TLS failed with the error.
func (m *Metrics) RefusedConnection(err error) { m.refusals.WithLabelValues(refusal(err)).Inc() }

func refusal(err error) string {
	var (
		stranger x509.UnknownAuthorityError
		invalid  x509.CertificateInvalidError
		unproved *tls.CertificateVerificationError
		garbled  tls.RecordHeaderError
		network  *net.OpError
	)
	switch {
	case errors.As(err, &stranger):
		return unknownAuthority
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return expired
	case errors.As(err, &unproved):
		return badCertificate
	case err.Error() == "tls: client didn't provide a certificate": // crypto/tls has no value for it
		return noCertificate
	case errors.As(err, &garbled):
		return notTLS
	case errors.Is(err, os.ErrDeadlineExceeded):
		return tooSlow
	case errors.As(err, &network) && network.Op == "remote error": // crypto/tls's word for an alert of the other side
		return refusedByCaller
	default:
		return otherRefusal
	}
}
