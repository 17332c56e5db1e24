package maas

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"strconv"

	gomaas "github.com/canonical/gomaasclient/client"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

// ask is one thing that MAAS is asked.
type ask struct {
	op operation
	// ids stand in the path, in its order; the caller has checked what they are.
	ids []string
	// values are the query of a read, or else the form.
	values url.Values
	// read takes the body of a success; nil for operations that are silent.
	read reader
	// host is the VM host on which LXD works meanwhile; empty where that isn't known.
	host inventory.HostID
	// hidden is user data, which MAAS may quote in a refusal; no error repeats it.
	hidden []byte
}

// call asks MAAS, again where that is allowed, and gives a fault.
func (c *Client) call(ctx context.Context, a ask) error {
	path, err := a.op.at(a.ids)
	if err != nil {
		return err
	}
	renewed := false
	for attempt := 1; ; attempt++ {
		ex := &exchange{op: a.op, hidden: a.hidden}
		err := c.once(ctx, a, path, ex, attempt)
		if err == nil {
			c.retry.succeeded()
			return nil
		}
		if !renewed && c.mayAuthorize(ctx, ex) {
			renewed = true
			continue
		}
		wait, again := c.retry.next(ctx, ex, attempt)
		if !again || !c.retry.wait(ctx, wait) {
			return err
		}
	}
}

// mayAuthorize says whether a refusal of the key may be over: MAAS checks the key before everything
// else, so nothing was done. A used nonce or an old timestamp is new in the next request, and the
// key may have been replaced while the request was under way.
func (c *Client) mayAuthorize(ctx context.Context, ex *exchange) bool {
	if ex.status != http.StatusUnauthorized || ctx.Err() != nil {
		return false
	}
	if ex.stale {
		return true
	}
	key, err := c.keys()
	return err == nil && key != ex.key && checkKey(key) == nil
}

// once sends one request under the limits and gives a fault.
func (c *Client) once(ctx context.Context, a ask, path string, ex *exchange, attempt int) (err error) {
	ctx, ended := c.span(ctx, a.op, attempt)
	defer func() {
		ended(ex, err)
		c.observe(Observation{
			Operation: a.op.name, Sent: ex.sent, Status: ex.status, Outcome: outcome(err), Took: ex.took, Bytes: ex.bytes, Attempt: attempt,
		})
	}()
	leave, err := c.gates.enter(ctx, a, c.timeouts.of(a.op.class))
	if err != nil {
		return err
	}
	defer leave()
	if ex.key, err = c.keys(); err == nil {
		err = checkKey(ex.key)
	}
	if err != nil {
		return fault.Wrap(err, fault.Denied, fault.ReasonMAASKeyRefused, "the MAAS API key can't be used")
	}
	limited, cancel := context.WithTimeout(ctx, c.timeouts.of(a.op.class))
	defer cancel()
	object, err := c.object(ex.key, path, c.bind(limited, ex))
	if err != nil {
		return err
	}
	if err = a.send(object); err == nil {
		err = a.believe(ex)
	}
	c.log.DebugContext(ctx, "Asking MAAS done", "operation", a.op.name, "status", ex.status, "took", ex.took,
		"bytes", ex.bytes, "attempt", attempt)
	if err == nil {
		return nil
	}
	ex.late = limited.Err() != nil
	return ex.fault(limited, err)
}

// believe reads a success. A page of a proxy, or what MAAS says of another object, is none.
func (a ask) believe(ex *exchange) error {
	switch {
	case !a.op.silent:
		return a.read(ex.body)
	case ex.status != http.StatusNoContent:
		return &unfit{"", "is something, want nothing"}
	default:
		return nil
	}
}

// outcome is what metrics call the end of a request.
func outcome(err error) string {
	if err == nil {
		return "OK"
	}
	return string(fault.ReasonOf(err))
}

// object binds the library to one round tripper and one path. Its own errors repeat the key and are dropped.
func (c *Client) object(key, path string, rt http.RoundTripper) (gomaas.APIClient, error) {
	typed, err := gomaas.GetClientWithTransport(c.base, key, "2.0", rt)
	if err != nil {
		return gomaas.APIClient{}, fault.New(fault.Denied, fault.ReasonMAASKeyRefused, "the MAAS API key or URL can't be used")
	}
	machines, ok := typed.Machines.(*gomaas.Machines)
	if !ok {
		return gomaas.APIClient{}, fault.New(fault.Internal, fault.ReasonInternal, "gomaasclient has another shape than v0.20.0")
	}
	return machines.APIClient.GetSubObject(path), nil
}

// unseen takes what the library makes of the body that it is shown, which says nothing (transport.go).
func unseen([]byte) error { return nil }

// send lets the library send the request.
func (a ask) send(object gomaas.APIClient) error {
	switch a.op.method {
	case http.MethodGet:
		// The library writes its op into the values, and refuses to find it there the next time.
		return object.Get(a.op.op, maps.Clone(a.values), unseen)
	case http.MethodPost:
		return object.Post(a.op.op, a.values, unseen)
	case http.MethodPut:
		return object.Put(a.values, unseen)
	default:
		return object.Delete()
	}
}

// decimal writes an id as it stands in a path.
func decimal(n int) string { return strconv.Itoa(n) }
