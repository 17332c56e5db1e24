package app

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/capmaas/capmaas/proto/mtls"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/interceptor"
)

// The names that certificates of callers bear unless the flags name others.
const (
	defaultManager  = "capmaas-manager"
	defaultOperator = "capmaas-operator"
)

// names is a flag that may be given more than once. What is given takes the place of the default.
type names struct {
	values *[]string
	given  bool
}

// String gives the names as the help shows them.
func (n *names) String() string {
	if n.values == nil {
		return ""
	}
	return strings.Join(*n.values, ", ")
}

// Set takes one more name.
func (n *names) Set(name string) error {
	if name == "" || strings.TrimSpace(name) != name {
		return fmt.Errorf("%q is no name", name)
	}
	if !n.given {
		n.given, *n.values = true, nil
	}
	*n.values = append(*n.values, name)
	return nil
}

// checkIdentity demands a decision: certificates, or none.
func (c *Config) checkIdentity() error {
	switch {
	case c.TLSDir == "" && !c.Insecure:
		return errors.New("--tls-dir: name the directory with tls.crt, tls.key and ca.crt; or, for development alone, let everybody call in the clear with --insecure")
	case c.TLSDir != "" && c.Insecure:
		return errors.New("--insecure: contradicts --tls-dir: give one of them")
	case c.Insecure:
		return nil
	}
	var errs []error
	if _, err := mtls.Server(mtls.Config{Dir: c.TLSDir}); err != nil {
		errs = append(errs, fmt.Errorf("--tls-dir: %w", err))
	}
	for _, name := range c.OperatorIdentities {
		if slices.Contains(c.ManagerIdentities, name) {
			errs = append(errs, fmt.Errorf("--operator-identity: %q is a --manager-identity too: each name has one set of rights", name))
		}
	}
	return errors.Join(errs...)
}

// access says who may call what; nil where anybody may, in the clear.
func (c *Config) access() *interceptor.Access {
	if c.Insecure {
		return nil
	}
	return &interceptor.Access{Managers: c.ManagerIdentities, Operators: c.OperatorIdentities, OperatorsMayWrite: c.OperatorsMayWrite}
}

// transport gives the credentials of the gRPC server, and tells of them as metrics.
func (s *service) transport() (credentials.TransportCredentials, error) { //nolint:ireturn // gRPC's interface
	if s.cfg.Insecure {
		s.logger.Warn("Letting everybody call in the clear, user data with their join tokens too: --insecure is for development")
		return insecure.NewCredentials(), nil
	}
	own, err := mtls.Server(mtls.Config{
		Dir:        s.cfg.TLSDir,
		Unreadable: func(err error) { s.logger.Warn("Keeping the certificates that were read before", "error", err) },
		Refused: func(with net.Addr, err error) {
			// Who connects and says nothing is a probe of the port.
			if !errors.Is(err, io.EOF) {
				s.metrics.RefusedConnection(err)
				s.logger.Info("Refused a connection", "peer", with.String(), "error", err)
			}
		},
	})
	if err != nil {
		return nil, err
	}
	s.metrics.WatchCertificates(own.Ends)
	return own, nil
}

// healthServer serves health and nothing else, in the clear, for probes: a kubelet has no certificate.
func (s *service) healthServer() *grpc.Server {
	probes := grpc.NewServer(grpc.ConnectionTimeout(handshake), grpc.MaxConcurrentStreams(maxProbes), grpc.MaxRecvMsgSize(maxProbe))
	healthpb.RegisterHealthServer(probes, s.health)
	return probes
}

// The bounds of what may be asked for in the clear: a probe is one short request at a time.
const (
	maxProbes = 16
	maxProbe  = 4 << 10
)
