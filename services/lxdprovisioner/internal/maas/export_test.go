package maas

import (
	"context"
	"net"
	"net/http"
)

// SendBy makes the client send by another transport, for tests that need no network.
func (c *Client) SendBy(rt http.RoundTripper) { c.transport = rt }

// DialBy makes the client's own transport connect by a function, for tests of what a network may do.
func (c *Client) DialBy(dial func(ctx context.Context, network, address string) (net.Conn, error)) {
	c.transport.(*http.Transport).DialContext = dial //nolint:forcetypeassert // New makes no other
}
