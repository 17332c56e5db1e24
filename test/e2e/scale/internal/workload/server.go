package workload

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/capmaas/capmaas/proto/mtls/mtlstest"
)

// server is the socket of one control plane: its API server, and etcd behind the port forwarding of that.
type server struct {
	http  *http.Server
	ended chan struct{}

	mu    sync.Mutex
	conns map[net.Conn]bool
}

// listen starts the API server of a machine at its own address.
func (c *cluster) listen(ctx context.Context, m Machine, r role) (*server, error) {
	host, _, err := net.SplitHostPort(c.endpoint)
	if err != nil {
		return nil, fmt.Errorf("read the endpoint: %w", err)
	}
	own, err := serving(r.ca, mtlstest.Subject{
		CommonName: componentAPIServer, DNSNames: []string{host, r.node}, IPs: []net.IP{m.Address.AsSlice()},
	}, tls.VerifyClientCertIfGiven)
	if err != nil {
		return nil, err
	}
	at := netip.AddrPortFrom(m.Address, uint16(r.port)) // the API server has checked that it is one
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", at.String())
	if err != nil {
		return nil, fmt.Errorf("listen as %s: %w", r.node, err)
	}
	s := &server{ended: make(chan struct{}), conns: make(map[net.Conn]bool)}
	s.http = &http.Server{
		Handler: http.HandlerFunc(c.serve), ReadHeaderTimeout: time.Minute, ConnState: s.track, ErrorLog: quiet,
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: own.NextProtos, GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			if etcd := c.etcdAt(hello.ServerName); etcd != nil {
				return etcd, nil
			}
			return own, nil
		}},
	}
	go func() {
		defer close(s.ended)
		_ = s.http.ServeTLS(listener, "", "") // it ends when it is closed
	}()
	return s, nil
}

// track knows the connections, those too that a handler has taken over.
func (s *server) track(conn net.Conn, state http.ConnState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch state {
	case http.StateNew:
		s.conns[conn] = true
	case http.StateClosed:
		delete(s.conns, conn)
	default:
	}
}

// close ends the server as a machine's end does: every connection breaks.
func (s *server) close() error {
	err := s.http.Close()
	<-s.ended
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.conns {
		_ = conn.Close() // it may be closed already
	}
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// serve answers as the API server, or as etcd to those that have come through its port forwarding.
func (c *cluster) serve(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.ProtoMajor == 2 && strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc"):
		if c.etcdAt(r.TLS.ServerName) == nil {
			http.Error(w, "etcd answers at its members' names alone", http.StatusForbidden)
			return
		}
		c.etcd.ServeHTTP(w, r)
	case r.URL.Path == "/readyz" || r.URL.Path == "/livez" || r.URL.Path == "/healthz":
		_, _ = w.Write([]byte("ok")) // who went away asks no more
	case len(r.TLS.PeerCertificates) == 0:
		http.Error(w, "no certificate says who you are", http.StatusUnauthorized)
	default:
		c.api.ServeHTTP(w, r)
	}
}
