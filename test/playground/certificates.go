package playground

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"time"

	"google.golang.org/grpc"

	"github.com/capmaas/capmaas/proto/mtls"
	"github.com/capmaas/capmaas/proto/mtls/mtlstest"
)

// The directories of certificates in Work, by whom they are for.
const (
	serviceTLS  = "tls/lxdprovisioner"
	managerTLS  = "tls/manager"
	operatorTLS = "tls/operator"
)

// issueCertificates makes an authority, which is forgotten, and a certificate for each who speaks or answers.
func (p *Playground) issueCertificates() error {
	authority, err := mtlstest.NewAuthority("playground", time.Now) //nolint:forbidigo // certificates hold by the clock
	if err != nil {
		return err
	}
	return errors.Join(
		authority.Mount(p.path(serviceTLS), mtlstest.Subject{DNSNames: []string{mtls.ServerName, "localhost"}, IPs: []net.IP{net.IPv4(127, 0, 0, 1)}}),
		authority.Mount(p.path(managerTLS), mtlstest.Subject{CommonName: "capmaas-manager"}),
		authority.Mount(p.path(operatorTLS), mtlstest.Subject{CommonName: "capmaas-operator"}),
	)
}

func (p *Playground) path(name string) string { return filepath.Join(p.Work, filepath.FromSlash(name)) }

// dial connects to the service as the manager does.
func (p *Playground) dial(address string) error {
	transport, err := mtls.Client(mtls.Config{Dir: p.path(managerTLS), ServerName: mtls.ServerName})
	if err != nil {
		return fmt.Errorf("reach the service: %w", err)
	}
	p.Conn, err = grpc.NewClient(address, grpc.WithTransportCredentials(transport))
	if err != nil {
		return fmt.Errorf("reach the service: %w", err)
	}
	return nil
}

// GRPCurl are the flags with which grpcurl calls the service as an operator, who may only read.
func (p *Playground) GRPCurl() []string {
	file := func(name string) string { return filepath.Join(p.path(operatorTLS), name) }
	return []string{"-cacert", file(mtls.AuthorityFile), "-cert", file(mtls.CertificateFile), "-key", file(mtls.KeyFile)}
}
