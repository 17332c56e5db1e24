package maas

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"time"

	gomaas "github.com/canonical/gomaasclient/client"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
)

// operation is one thing that MAAS can be asked.
type operation struct {
	// name is how metrics and logs call it.
	name string
	// op is MAAS's op parameter; empty for plain reads and writes.
	op    string
	class class
	// changes says that MAAS changes something; such a request has an outcome that may be unknown.
	changes bool
	// unrepeated says that even a failed read isn't sent again, because it is costly or its failure means something.
	unrepeated bool
	// outside says that the request works on LXD inside its database transaction, so that "try again"
	// doesn't say that nothing was made.
	outside bool
	// private says that the request holds user data, which MAAS may repeat in a text that no rule
	// knows; such a text is not quoted.
	private bool
}

// library is the library's client for one request: its typed calls, and the raw ones below root.
type library struct {
	typed *gomaas.Client
	root  gomaas.APIClient
}

// call sends what send asks for, again where that is allowed, and gives a fault.
func (c *Client) call(ctx context.Context, op operation, send func(library) error) error {
	for attempt := 1; ; attempt++ {
		ex := &exchange{op: op}
		err := c.once(ctx, ex, attempt, send)
		if err == nil {
			c.retry.succeeded()
			return nil
		}
		wait, again := c.retry.next(ctx, ex, attempt)
		if !again || !pause(ctx, wait) {
			return err
		}
	}
}

// once sends one request under the limits and gives a fault.
func (c *Client) once(ctx context.Context, ex *exchange, attempt int, send func(library) error) error {
	leave, err := c.gates.enter(ctx, ex.op, c.timeout(ex.op.class))
	if err != nil {
		return err
	}
	defer leave()
	key, err := c.keys()
	if err == nil {
		err = checkKey(key)
	}
	if err != nil {
		return fault.Wrap(err, fault.Denied, fault.ReasonMAASKeyRefused, "the MAAS API key can't be used")
	}
	limited, cancel := context.WithTimeout(ctx, c.timeout(ex.op.class))
	defer cancel()
	lib, err := c.library(key, c.bind(limited, ex))
	if err != nil {
		return err
	}
	err = send(lib)
	c.observe(Observation{Operation: ex.op.name, Status: ex.status, Took: ex.took, Bytes: ex.bytes, Attempt: attempt})
	c.log.DebugContext(ctx, "Asking MAAS done", "operation", ex.op.name, "status", ex.status, "took", ex.took,
		"bytes", ex.bytes, "attempt", attempt)
	if err == nil {
		return nil
	}
	return ex.fault(limited, err, key)
}

func (c *Client) timeout(k class) time.Duration {
	switch k {
	case long:
		return c.timeouts.Long
	case list:
		return c.timeouts.List
	default:
		return c.timeouts.Short
	}
}

// library binds the library to one round tripper. Its own errors repeat the key and are dropped.
func (c *Client) library(key string, rt http.RoundTripper) (library, error) {
	typed, err := gomaas.GetClientWithTransport(c.base, key, "2.0", rt)
	if err != nil {
		return library{}, fault.New(fault.Denied, fault.ReasonMAASKeyRefused, "the MAAS API key or URL can't be used")
	}
	machines, ok := typed.Machines.(*gomaas.Machines)
	if !ok {
		return library{}, fault.New(fault.Internal, fault.ReasonInternal, "gomaasclient has another shape than v0.20.0")
	}
	return library{typed: typed, root: machines.APIClient}, nil
}

// get reads a path below the API's root into a value.
func (c *Client) get(ctx context.Context, op operation, path string, query url.Values, into any) error {
	return c.call(ctx, op, func(lib library) error {
		// The library writes its op into the values, and refuses to find it there the next time.
		return lib.root.GetSubObject(path).Get(op.op, maps.Clone(query), reading(into))
	})
}

// post sends a form. into may be nil where the answer doesn't matter.
func (c *Client) post(ctx context.Context, op operation, path string, form url.Values, into any) error {
	return c.call(ctx, op, func(lib library) error {
		return lib.root.GetSubObject(path).Post(op.op, form, reading(into))
	})
}

// put sends a form that changes an object.
func (c *Client) put(ctx context.Context, op operation, path string, form url.Values, into any) error {
	return c.call(ctx, op, func(lib library) error {
		return lib.root.GetSubObject(path).Put(form, reading(into))
	})
}

// remove deletes an object.
func (c *Client) remove(ctx context.Context, op operation, path string) error {
	return c.call(ctx, op, func(lib library) error { return lib.root.GetSubObject(path).Delete() })
}

func reading(into any) func([]byte) error {
	return func(data []byte) error {
		if into == nil {
			return nil
		}
		if err := json.Unmarshal(data, into); err != nil {
			return fmt.Errorf("read MAAS's JSON: %w", err)
		}
		return nil
	}
}
