// Package maas is the service's edge to MAAS: every HTTP request to a region and every reading of
// its answers is here. It turns MAAS's JSON into the nouns of package inventory and MAAS's refusals
// into faults, and it chooses nothing.
//
// Requests go through github.com/canonical/gomaasclient, which has no contexts, re-sends POSTs by
// itself, follows redirects and prints bodies. For each request a client of the library is bound to
// the caller's context through a round tripper of ours (transport.go) that takes all of that away.
package maas

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

const (
	// maxAnswer bounds what is read of an answer. 400 machines in full are about 7 MB.
	maxAnswer = 64 << 20
	// maxRefusal bounds what is read of an answer that is not a success.
	maxRefusal = 16 << 10
)

// Config says how to reach a MAAS region.
type Config struct {
	// URL is the region's, for example "https://maas.example:5443/MAAS". A URL without a path gets /MAAS.
	// With TLS on, MAAS redirects from its plain port, and redirects are refused: name the https URL.
	URL string
	// Credentials gives the API key; it is asked before each request, so that a key can be rotated.
	Credentials Credentials
	// CAFile is a PEM file of certificate authorities that are trusted besides the system's; empty for none.
	CAFile string
	// UserAgent names the program in MAAS's access log.
	UserAgent string
	// Timeouts bound single requests; zero values take the defaults.
	Timeouts Timeouts
	// Limits bound how many requests run at a time; zero values take the defaults.
	Limits Limits
	// Retry bounds what is sent again; zero values take the defaults.
	Retry Retry
	// Clock gives the time.
	Clock func() time.Time
	// Logger gets one line per request at debug level. It never gets a key, a path's query or a body.
	Logger *slog.Logger
	// Tracer makes a span of each request whose context has one already; nil for none. Its attributes are never a key, a
	// URL or a body.
	Tracer trace.Tracer
	// Correlation gives the id of a request's context, which goes into the User-Agent and so into MAAS's access log; nil for
	// none. It must give nothing but what may stand in a header.
	Correlation func(context.Context) string
	// Dial opens the connections to MAAS, as net.Dialer does; the usual way where it is nil.
	Dial Dial
	// Observe is told of each request after its end, sent or not; nil for nobody. It must not block.
	Observe func(Observation)
}

// Dial opens a connection to an address, as net.Dialer.DialContext does.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

// Observation is one HTTP request as metrics see it.
type Observation struct {
	// Operation is our name of what was asked, for example "vm-hosts.compose". There are few of them.
	Operation string
	// Sent says that the request left for MAAS. One that found no slot in time, or no usable key, did not.
	Sent bool
	// Status is the HTTP status; 0 where no answer came.
	Status int
	// Outcome is "OK", or the reason of the fault that the caller got, for example "HOST_OVERCOMMITTED".
	Outcome string
	// Took is the time from sending to the answer's last byte.
	Took time.Duration
	// Bytes is the size of the answer's body.
	Bytes int
	// Attempt is 1 for the first sending and grows when the request is sent again.
	Attempt int
}

// Timeouts bound a single request by its class.
type Timeouts struct {
	// Short is for reads and changes of one object. The default is 30 s.
	Short time.Duration
	// List is for lists. 400 machines in full take 11 s of an idle region. The default is 90 s.
	List time.Duration
	// Long is for what waits for LXD or for power; MAAS waits 120 s for LXD. The default is 150 s.
	Long time.Duration
}

// Client talks to one MAAS region. It is safe for concurrent use. All its methods return faults of
// package fault; which ones is said at each method and in errors.go. These come from every method:
// Denied (MAAS_KEY_REFUSED, MAAS_RIGHTS_MISSING), Unavailable (MAAS_UNAVAILABLE; OUTCOME_UNKNOWN
// where a change may have been made), and Busy (MAAS_BUSY, TOO_MANY_IN_FLIGHT, both of which say
// that nothing was done).
type Client struct {
	base      string
	agent     string
	keys      Credentials
	transport http.RoundTripper
	timeouts  Timeouts
	gates     *gates
	retry     *retrier
	clock     func() time.Time
	log       *slog.Logger
	observe   func(Observation)
	tracer    trace.Tracer
	correlate func(context.Context) string
}

// New checks the configuration, including the form of the key, and makes a client. It sends
// nothing: Whoami proves that the key is good. No error names the key.
func New(cfg Config) (*Client, error) {
	base, err := checkURL(cfg.URL)
	if err != nil {
		return nil, err
	}
	if cfg.Credentials == nil {
		return nil, fmt.Errorf("MAAS %s: no API key is configured", base)
	}
	key, err := cfg.Credentials()
	if err != nil {
		return nil, fmt.Errorf("MAAS API key: %w", err)
	}
	if err := checkKey(key); err != nil {
		return nil, err
	}
	transport, err := newTransport(cfg.CAFile, cfg.Limits.withDefaults().sum(), cfg.Dial)
	if err != nil {
		return nil, err
	}
	c := &Client{
		base: base, agent: cfg.UserAgent, keys: cfg.Credentials, transport: transport,
		timeouts: cfg.Timeouts.withDefaults(), gates: newGates(cfg.Limits), retry: newRetrier(cfg.Retry),
		clock: cfg.Clock, log: cfg.Logger, observe: cfg.Observe, tracer: cfg.Tracer, correlate: cfg.Correlation,
	}
	if c.clock == nil {
		return nil, fmt.Errorf("MAAS %s: no clock is configured", base)
	}
	if c.agent == "" {
		c.agent = "lxdprovisioner"
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if c.observe == nil {
		c.observe = func(Observation) {}
	}
	if c.tracer == nil {
		c.tracer = noop.NewTracerProvider().Tracer("")
	}
	if c.correlate == nil {
		c.correlate = func(context.Context) string { return "" }
	}
	return c, nil
}

// Loads tells how many requests of each class are under way and how many wait for a slot.
func (c *Client) Loads() []Load { return c.gates.loads() }

// HostLoads tells how many long requests LXD hosts are busy with, and how many one host is sent at a time. A host
// that has none is not named.
func (c *Client) HostLoads() (most int, hosts []HostLoad) { return c.gates.hostLoads() }

// Close closes idle connections. Requests that run go on.
func (c *Client) Close() {
	if t, ok := c.transport.(*http.Transport); ok {
		t.CloseIdleConnections()
	}
}

func (t Timeouts) withDefaults() Timeouts {
	return Timeouts{
		Short: cmp.Or(max(t.Short, 0), 30*time.Second),
		List:  cmp.Or(max(t.List, 0), 90*time.Second),
		Long:  cmp.Or(max(t.Long, 0), 150*time.Second),
	}
}

// errURL doesn't say what was found: it may hold a password, or be the key in the wrong place.
var errURL = errors.New("MAAS URL: want one like https://maas.example:5443/MAAS")

// checkURL gives the base URL without a trailing slash.
func checkURL(raw string) (string, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return "", errURL
	}
	switch {
	case u.User != nil:
		return "", errors.New("MAAS URL: it must not hold a user or password")
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		return "", errURL
	case u.RawQuery != "", u.Fragment != "":
		return "", errors.New("MAAS URL: it must not have a query or fragment")
	}
	u.Path = strings.TrimSuffix(strings.TrimRight(u.Path, "/"), "/api/2.0")
	if u.Path == "" {
		u.Path = "/MAAS"
	}
	return u.String(), nil
}
