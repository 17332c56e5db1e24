// Package mtls is how the provisioner and its callers prove to each other who they are: TLS 1.3 with a
// certificate on both sides, from a directory that looks like a mounted Secret of cert-manager.
//
//	server := mtls.Server(mtls.Config{Dir: "/etc/capmaas/tls"})
//	client := mtls.Client(mtls.Config{Dir: "/etc/capmaas/tls", ServerName: mtls.ServerName})
//
// The files are read for each handshake, so a renewed certificate or authority counts from the next
// connection on, and what is open goes on. Connections are few and long, so that costs nothing; in
// exchange nothing runs beside, and nothing is older than the files.
package mtls

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc/credentials"
)

// ServerName is the DNS name that the certificate of the service bears unless its installation says
// otherwise.
const ServerName = "capmaas-lxdprovisioner"

// protocols are what is spoken inside: HTTP/2 alone.
var protocols = []string{"h2"}

// Config says where the certificates are.
type Config struct {
	// Dir holds tls.crt, tls.key and ca.crt. The certificates of ca.crt sign those of the other side.
	Dir string
	// ServerName is the name that the server's certificate must bear; for a client alone.
	ServerName string
	// Unreadable is told why the files that are there now can't be used; what was read before is used
	// instead. Nil for nobody.
	Unreadable func(error)
	// Refused is told why a handshake failed and with whom; nil for nobody.
	Refused func(with net.Addr, err error)
}

// Credentials are the transport credentials of one side.
type Credentials struct {
	cfg Config

	mu   sync.Mutex
	last *material
}

// Server gives the credentials of a server, which takes only callers with a certificate. The error
// says which file is missing or can't be used.
func Server(cfg Config) (*Credentials, error) { return first(cfg) }

// Client gives the credentials of a caller. The error says which file is missing or can't be used.
func Client(cfg Config) (*Credentials, error) {
	if cfg.ServerName == "" {
		return nil, errors.New("the name that the server's certificate must bear is missing")
	}
	return first(cfg)
}

func first(cfg Config) (*Credentials, error) {
	read, err := read(cfg.Dir)
	if err != nil {
		return nil, err
	}
	return &Credentials{cfg: cfg, last: read}, nil
}

// current gives what the files hold now. A rotation that is half done, or that went wrong, is no
// reason to end what works: until the files are whole again, what was read before counts.
func (c *Credentials) current() *material {
	now, err := read(c.cfg.Dir)
	if err != nil {
		// The files may have been exchanged between the first and the last of them.
		now, err = read(c.cfg.Dir)
	}
	if err != nil && c.cfg.Unreadable != nil {
		c.cfg.Unreadable(fmt.Errorf("read the certificates anew: %w", err))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		c.last = now
	}
	return c.last
}

// Ends tells, by the names of the files, until when the next handshake can use what they hold: CertificateFile until the first
// of the certificate and what leads from it to the authority ends, AuthorityFile until the last of its authorities does. The
// files are read for it, so what was renewed counts without a handshake.
func (c *Credentials) Ends() map[string]time.Time { return maps.Clone(c.current().ends) }

// ClientHandshake implements credentials.TransportCredentials. The name of the server is the
// configured one, whatever address leads there.
func (c *Credentials) ClientHandshake(ctx context.Context, _ string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) { //nolint:ireturn // gRPC's interface
	now := c.current()
	conn, info, err := credentials.NewTLS(&tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: protocols,
		ServerName: c.cfg.ServerName, RootCAs: now.authorities, Certificates: []tls.Certificate{now.certificate},
	}).ClientHandshake(ctx, c.cfg.ServerName, raw)
	return conn, info, c.told(raw, err)
}

// ServerHandshake implements credentials.TransportCredentials. No session is resumed: each connection
// is judged by the authorities of its own time.
func (c *Credentials) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) { //nolint:ireturn // gRPC's interface
	now := c.current()
	conn, info, err := credentials.NewTLS(&tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: protocols, SessionTicketsDisabled: true,
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: now.authorities, Certificates: []tls.Certificate{now.certificate},
	}).ServerHandshake(raw)
	return conn, info, c.told(raw, err)
}

func (c *Credentials) told(raw net.Conn, err error) error {
	if err != nil && c.cfg.Refused != nil {
		c.cfg.Refused(raw.RemoteAddr(), err)
	}
	return err
}

// Info implements credentials.TransportCredentials.
func (c *Credentials) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "tls"}
}

// Clone implements credentials.TransportCredentials.
func (c *Credentials) Clone() credentials.TransportCredentials { //nolint:ireturn // gRPC's interface
	c.mu.Lock()
	defer c.mu.Unlock()
	return &Credentials{cfg: c.cfg, last: c.last}
}

// OverrideServerName implements credentials.TransportCredentials, and does nothing: the name is
// configured.
func (c *Credentials) OverrideServerName(string) error { return nil }
