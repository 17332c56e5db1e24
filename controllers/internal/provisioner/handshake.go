package provisioner

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
)

// HandshakeError is why no call reaches the provisioner: the two sides don't accept each other. It
// wraps the error of the call.
type HandshakeError struct {
	// Advice says what is wrong and what to do.
	Advice string

	call error
}

// Error is the call's text.
func (e *HandshakeError) Error() string { return e.call.Error() }

// Unwrap gives the error of the call.
func (e *HandshakeError) Unwrap() error { return e.call }

// handshakes keeps why the last handshake failed. gRPC tells callers only the text of it, and with TLS
// 1.3 a server refuses its caller after the handshake, in what it sends first.
type handshakes struct {
	serverName string
	// clear says that the manager speaks in the clear.
	clear bool

	mu     sync.Mutex
	advice string
}

func (h *handshakes) note(advice string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.advice = advice
}

// explain adds to the error of a call why nobody was reached.
func (h *handshakes) explain(err error) error {
	if status.Code(err) != codes.Unavailable {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.advice == "" {
		return err
	}
	return &HandshakeError{Advice: h.advice, call: err}
}

//nolint:revive // gRPC names the arguments
func (h *handshakes) unary(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	return h.explain(invoke(ctx, method, req, reply, cc, opts...))
}

// adviceOn says what a failed handshake, or the end of a connection that has brought nothing yet, means.
func (h *handshakes) adviceOn(err error) string {
	var (
		unknown  x509.UnknownAuthorityError
		hostname x509.HostnameError
		invalid  x509.CertificateInvalidError
		record   tls.RecordHeaderError
		network  *net.OpError
	)
	switch {
	case errors.As(err, &unknown):
		return "the provisioner's certificate is not from an authority that the manager trusts: ca.crt in --provisioner-tls-dir must hold the one that signed it"
	case errors.As(err, &hostname):
		return fmt.Sprintf("the provisioner's certificate does not bear the name %q: issue it for that name, or give the one that it bears with --provisioner-server-name", h.serverName)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "the provisioner's certificate has expired or does not hold yet: renew it, and look at the clocks"
	case errors.As(err, &invalid):
		return fmt.Sprintf("the provisioner's certificate is no good (%v): issue it anew for a server", invalid)
	case errors.As(err, &record):
		return "the provisioner does not speak TLS: start it with --tls-dir; for development alone, start the manager with --provisioner-insecure instead"
	case errors.As(err, &network) && network.Op == "remote error":
		// The text is that of our own TLS for the number of the alert; nothing of it is the peer's.
		return fmt.Sprintf("the provisioner refuses the manager's certificate (%v): tls.crt in --provisioner-tls-dir must hold at this time, "+
			"and ca.crt in the provisioner's --tls-dir must hold the authority that signed it", network.Err)
	case h.clear:
		// A server of TLS hangs up on who speaks in the clear, without a word.
		return "the provisioner hangs up on a manager that speaks in the clear: where it was started with --tls-dir, " +
			"start the manager with --provisioner-tls-dir in place of --provisioner-insecure"
	default:
		return ""
	}
}

// watchedCredentials are credentials whose handshakes are noted.
type watchedCredentials struct {
	credentials.TransportCredentials

	noted *handshakes
}

// ClientHandshake implements credentials.TransportCredentials.
func (w *watchedCredentials) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) { //nolint:ireturn // gRPC's interface
	conn, info, err := w.TransportCredentials.ClientHandshake(ctx, authority, raw)
	if err != nil {
		w.noted.note(w.noted.adviceOn(err))
		return conn, info, err
	}
	return &watchedConn{Conn: conn, noted: w.noted}, info, nil
}

// Clone implements credentials.TransportCredentials.
func (w *watchedCredentials) Clone() credentials.TransportCredentials { //nolint:ireturn // gRPC's interface
	return &watchedCredentials{TransportCredentials: w.TransportCredentials.Clone(), noted: w.noted}
}

// lastWord is how long a connection that is being closed is read on for why nothing came.
const lastWord = 100 * time.Millisecond

// watchedConn is a connection of which the first answer is looked at.
type watchedConn struct {
	net.Conn

	noted    *handshakes
	answered atomic.Bool
}

// Read implements net.Conn.
func (c *watchedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	switch {
	case c.answered.Swap(true):
	case n > 0:
		c.noted.note("")
	default:
		c.noted.note(c.noted.adviceOn(err))
	}
	return n, err
}

// Close implements net.Conn. A peer that refuses its caller says why and hangs up: where gRPC then fails to write, it closes
// the connection without having read.
func (c *watchedConn) Close() error {
	if !c.answered.Load() && c.SetReadDeadline(time.Now().Add(lastWord)) == nil { //nolint:forbidigo // the network goes by no other clock
		_, _ = c.Read(make([]byte, 1))
	}
	return c.Conn.Close()
}
