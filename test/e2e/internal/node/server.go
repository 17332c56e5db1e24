package node

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"k8s.io/cri-streaming/pkg/streaming/portforward"
)

// The addresses of a kubelet's servers: the one that kubeadm asks whether it is well, and the one that API servers reach.
const (
	healthAddress = "127.0.0.1:10248"
	apiAddress    = ":10250"
)

// idle and opening bound a forwarded port.
const (
	idle    = 4 * time.Hour
	opening = 30 * time.Second
)

// serve answers kubeadm, which wants the kubelet to be well, and API servers, which forward ports: that is how the control plane's
// provider reaches etcd.
func (k *kubelet) serve(ctx context.Context) error {
	health, err := (&net.ListenConfig{}).Listen(ctx, "tcp", k.Health)
	if err != nil {
		return err
	}
	certificate, err := selfSigned(k.Hostname, k.Address.AsSlice(), k.Now())
	if err != nil {
		return err
	}
	plain, err := (&net.ListenConfig{}).Listen(ctx, "tcp", k.API)
	if err != nil {
		return err
	}
	k.port = int32(netip.MustParseAddrPort(plain.Addr().String()).Port())
	api := tls.NewListener(plain, &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}})
	for listener, handler := range map[net.Listener]http.HandlerFunc{
		health: func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") },
		api:    forwardPort,
	} {
		server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
		context.AfterFunc(ctx, func() { _ = server.Close() })
		k.working.Go(func() { k.Log.Info("A server has ended", "address", listener.Addr(), "error", server.Serve(listener)) })
	}
	return nil
}

// forwardPort serves /portForward/<namespace>/<pod>; everything else is not there.
func forwardPort(w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(r.URL.Path, "/")
	if len(parts) < 4 || parts[1] != "portForward" {
		http.NotFound(w, r)
		return
	}
	options, err := portforward.NewV4Options(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	portforward.ServePortForward(w, r, forwarder{}, parts[3], "", options, idle, opening, portforward.SupportedProtocols)
}

type forwarder struct{}

// PortForward copies between a stream and a port of the machine until either ends.
func (forwarder) PortForward(ctx context.Context, _, _ string, port int32, stream io.ReadWriteCloser) error {
	conn, err := dialLocal(ctx, port)
	if err != nil {
		return fmt.Errorf("reach port %d: %w", port, err)
	}
	defer func() { _ = conn.Close() }()
	done := make(chan error, 2)
	go func() { _, err := io.Copy(conn, stream); done <- err }()
	go func() { _, err := io.Copy(stream, conn); done <- err }()
	return <-done
}

// selfSigned is the certificate that a kubelet without signed ones makes for itself; API servers do not check it.
func selfSigned(name string, address net.IP, now time.Time) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make a key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{address},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(30 * 24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make a certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}
