package maas

import (
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
	"strings"
	"sync/atomic"
	"time"
)

const (
	// maxHeaders bounds the header of an answer, in bytes; MAAS's own are below 1 KiB.
	maxHeaders = 64 << 10
	// quiet is how long nothing may come over a connection before it is asked for a sign of life, and
	// lifeless how long that may take. Together they stay below the time-out of the shortest request, so
	// that a read on a dead connection is asked again over a new one. Without them a connection that
	// several requests share (HTTP/2) would go on taking new ones after a firewall has forgotten it.
	quiet    = 15 * time.Second
	lifeless = 10 * time.Second
)

// newTransport makes the one http.Transport of a client, which keeps up to idle connections. dial opens them; the usual way
// where it is nil.
func newTransport(caFile string, idle int, dial Dial) (*http.Transport, error) {
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
	dialer := net.Dialer{
		Timeout:         10 * time.Second,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: quiet, Interval: lifeless / 2, Count: 2},
	}
	if dial == nil {
		dial = dialer.DialContext
	}
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         dial,
		HTTP2:               &http.HTTP2Config{SendPingTimeout: quiet, PingTimeout: lifeless, WriteByteTimeout: quiet},
		TLSClientConfig:     &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: 10 * time.Second,
		MaxIdleConnsPerHost: idle,
		// Well below the time after which nginx and Twisted drop a connection: a POST that meets a
		// connection just closed has an unknown outcome.
		IdleConnTimeout:        20 * time.Second,
		MaxResponseHeaderBytes: maxHeaders,
		ForceAttemptHTTP2:      true,
	}, nil
}

// exchange is one request and its answer, as far as errors.go needs to know them.
type exchange struct {
	op operation
	// key is the API key that went with the request, hidden the user data; no error repeats either.
	key    string
	hidden []byte
	// sent says that the request was given to the transport.
	sent bool
	// late says that the request ran out of its time.
	late bool
	// connected says that a connection was there, so the request may have been sent.
	connected atomic.Bool
	// status is 0 where no whole answer came.
	status      int
	retryAfter  time.Duration
	contentType string
	// body is the body of a success.
	body []byte
	// refusal is the body of any other answer; for a 401 it is a sentence of ours.
	refusal string
	// stale says that a 401 was for the nonce or the timestamp, of which the next request has new ones.
	stale bool
	bytes int
	took  time.Duration
}

// roundTripper is a function that keeps the context of its caller, which the library has no room for.
type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip sends the request.
func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// bind gives a round tripper for one request under ctx. What the library may see of the answer is
// cut down to its status: no redirect, no Retry-After (it would sleep and send a POST again), no body
// (of a refusal it would become the error's text, and a 401 holds the token's secret; a success would
// be decoded by it once more, into maps without a bound).
func (c *Client) bind(ctx context.Context, ex *exchange) roundTripper {
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { ex.connected.Store(true) },
	})
	return func(in *http.Request) (*http.Response, error) {
		out := in.Clone(ctx)
		out.Close = false // the library asks for a new connection each time
		out.Header.Set("User-Agent", c.userAgent(ctx))
		out.Header.Set("Accept", "application/json")
		ex.sent = true
		began := c.clock()
		res, err := c.transport.RoundTrip(out)
		if err != nil {
			ex.took = c.clock().Sub(began)
			return nil, err
		}
		defer res.Body.Close() //nolint:errcheck // the body was read to its end or given up
		err = ex.take(res, c.clock)
		ex.took = c.clock().Sub(began)
		if err != nil {
			return nil, err
		}
		return res, nil
	}
}

// userAgent names the program and, where it is known, what a request is about: MAAS's access log has this header of each.
func (c *Client) userAgent(ctx context.Context) string {
	if id := c.correlate(ctx); id != "" {
		return c.agent + " correlation/" + id
	}
	return c.agent
}

// shown is the body that the library sees of every answer: the least that it takes for an object.
const shown = `{"resource_uri": "/"}`

// take reads the answer into ex and leaves in res what the library may see.
func (ex *exchange) take(res *http.Response, clock func() time.Time) error {
	ok := res.StatusCode >= 200 && res.StatusCode <= 299
	limit := int64(maxRefusal)
	if ok {
		limit = maxAnswer
		if res.ContentLength > limit {
			ex.status = res.StatusCode // asked again it would be as large
			return errTooLarge
		}
	}
	body, more, err := readAll(res.Body, limit)
	if err != nil {
		return err
	}
	if ok && more {
		ex.status = res.StatusCode
		return errTooLarge
	}
	ex.bytes = len(body)
	ex.status = res.StatusCode
	ex.contentType = res.Header.Get("Content-Type")
	ex.retryAfter = retryAfter(res.Header.Get("Retry-After"), clock)
	switch {
	case ok:
		ex.body = body
	case res.StatusCode == http.StatusUnauthorized:
		ex.refusal, ex.stale = whyUnauthorized(body)
	default:
		ex.refusal = string(body)
	}
	res.Header = http.Header{"Content-Type": {"application/json"}}
	res.Body = io.NopCloser(strings.NewReader(shown))
	res.ContentLength = int64(len(shown))
	return nil
}

// retryAfter reads seconds, which MAAS sends, or a date, which proxies may.
func retryAfter(text string, clock func() time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(text, 10, 16); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if date, err := http.ParseTime(text); err == nil {
		return max(date.Sub(clock()), 0)
	}
	return 0
}
