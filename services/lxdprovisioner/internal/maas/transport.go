package maas

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"strconv"
	"sync/atomic"
	"time"
)

// newTransport makes the one http.Transport of a client.
func newTransport(caFile string) (*http.Transport, error) {
	roots, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("system certificates: %w", err)
	}
	if caFile != "" {
		pem, err := os.ReadFile(caFile) //nolint:gosec // the operator names the file
		if err != nil {
			return nil, fmt.Errorf("MAAS CA file: %w", err)
		}
		if !roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("MAAS CA file %s holds no PEM certificate", caFile)
		}
	}
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:     &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: 10 * time.Second,
		MaxIdleConnsPerHost: 16,
		// Well below the time after which nginx and Twisted drop a connection: a POST that meets a
		// connection just closed has an unknown outcome.
		IdleConnTimeout:   20 * time.Second,
		ForceAttemptHTTP2: true,
	}, nil
}

// exchange is one request and its answer, as far as errors.go needs to know them.
type exchange struct {
	op operation
	// sent says that the request was given to the transport.
	sent bool
	// connected says that a connection was there, so the request may have been sent.
	connected atomic.Bool
	// status is 0 where no whole answer came.
	status      int
	retryAfter  time.Duration
	contentType string
	// refusal is the body of an answer that is not a success; for a 401 it is a sentence of ours.
	refusal string
	bytes   int
	took    time.Duration
}

// roundTripper is a function that keeps the context of its caller, which the library has no room for.
type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip sends the request.
func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// bind gives a round tripper for one request under ctx. What the library may see of the answer is
// cut down: no redirect, no Retry-After (it would sleep and send a POST again), no body of a refusal
// (it would become the error's text, and a 401 holds the token's secret).
func (c *Client) bind(ctx context.Context, ex *exchange) roundTripper {
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { ex.connected.Store(true) },
	})
	return func(in *http.Request) (*http.Response, error) {
		out := in.Clone(ctx)
		out.Close = false // the library asks for a new connection each time
		out.Header.Set("User-Agent", c.agent)
		out.Header.Set("Accept", "application/json")
		ex.sent = true
		began := c.clock()
		res, err := c.transport.RoundTrip(out)
		if err != nil {
			ex.took = c.clock().Sub(began)
			return nil, err
		}
		defer res.Body.Close() //nolint:errcheck // the body was read to its end or given up
		err = ex.take(res)
		ex.took = c.clock().Sub(began)
		if err != nil {
			return nil, err
		}
		return res, nil
	}
}

// take reads the answer into ex and leaves in res what the library may see.
func (ex *exchange) take(res *http.Response) error {
	ok := res.StatusCode >= 200 && res.StatusCode <= 299
	limit := int64(maxRefusal)
	if ok {
		limit = maxAnswer
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, limit+1))
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	ex.bytes = len(body)
	if int64(len(body)) > limit {
		if ok {
			return fmt.Errorf("the answer is larger than %d bytes", limit)
		}
		body = body[:limit]
	}
	ex.status = res.StatusCode
	ex.contentType = res.Header.Get("Content-Type")
	if seconds, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil && seconds > 0 {
		ex.retryAfter = time.Duration(seconds) * time.Second
	}
	if !ok {
		ex.refusal = string(body)
		if res.StatusCode == http.StatusUnauthorized {
			ex.refusal = whyUnauthorized(body)
		}
		body = nil
	}
	res.Header.Del("Retry-After")
	res.Header.Del("Location")
	res.Body = io.NopCloser(bytes.NewReader(body))
	res.ContentLength = int64(len(body))
	return nil
}
