package maas

import "net/http"

// SendBy makes the client send by another transport, for tests that need no network.
func (c *Client) SendBy(rt http.RoundTripper) { c.transport = rt }
