// Package rest is the HTTP face of the simulated MAAS: paths, OAuth, dispatch by method and op, forms, and the shapes of its answers.
//
// It follows django-piston3, the layer that MAAS serves its API with, and MAAS's error middleware. It knows nothing of machines.
package rest

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/capmaas/capmaas/services/maassim/internal/fault"
)

// Root is the path below which the API is served.
const Root = "/MAAS/api/2.0/"

// Handler answers one operation: with a value that becomes JSON, with NoContent or Plain, or with an *Error.
type Handler func(*Request) (any, error)

// Action is one operation of a resource.
type Action struct {
	Method string // GET, POST, PUT or DELETE
	Op     string // empty for the plain operation of the method
	Name   string // how counts and faults call it, for example "vm-hosts.compose"
	Admin  bool   // only for administrators
	// Refusal is what others are told of an operation for administrators; empty: that it is.
	Refusal string
	// Anonymous operations also answer requests that are not signed.
	Anonymous bool
	// Data operations read MAAS's request.data, so that JSON does as well as a form. Plain POST and PUT always do.
	Data bool
	// Lists operations ask the form for all values of a name, which crashes on JSON.
	Lists  bool
	Handle Handler
}

// Resource is a path with its operations. Segments in braces are variables; the last segment may hold slashes when it ends in "...}".
type Resource struct {
	Path string
	// Anonymous resources answer GET and POST that are not signed, at least with an error of their own.
	Anonymous bool
	// Open resources look at no signature at all.
	Open    bool
	NoSlash bool // registered without a trailing slash
	Actions []Action
}

// Config says how a Server is made.
type Config struct {
	Keys    []Key
	Clock   func() time.Time
	Version string // of MAAS
	// StrictOAuth answers 400 to a signature that lacks a parameter, as MAAS does since 3.5. ReportOAuth takes it for none, and answers 400 to a
	// timestamp that is no number, as MAAS does since 3.8.
	StrictOAuth, ReportOAuth bool
	// Concern names the host and the machine that a request is about, for the fault plan.
	Concern func(action string, req *Request) fault.Request
	Plan    *fault.Plan
	Counts  *Counts
	// Wait passes time that a fault asks for.
	Wait func(time.Duration)
	// Disturb starts what the faults of a request do to the world while it runs, and returns what ends it.
	Disturb func(about fault.Request, faults []fault.Fault) func()
	// Serve runs an operation as soon as there is a place for it, and takes as long as MAAS does.
	Serve func(operation string, req *Request, handle Handler) (any, error)
	// Window holds a compose between LXD and MAAS, for at most this long.
	Window func(time.Duration)
}

// Server serves resources.
type Server struct {
	cfg    Config
	keys   *keyring
	hash   string
	routes map[string][]*route // by the first segment of the path
}

// NewServer returns a server for the resources; the first whose path matches answers.
func NewServer(cfg Config, resources []Resource) *Server {
	s := &Server{
		cfg: cfg, hash: apiHash(cfg.Version), routes: make(map[string][]*route),
		keys: &keyring{keys: cfg.Keys, clock: cfg.Clock, strict: cfg.StrictOAuth, reporting: cfg.ReportOAuth},
	}
	for _, r := range resources {
		one := newRoute(r)
		s.routes[one.segments[0]] = append(s.routes[one.segments[0]], one)
	}
	return s
}

// Operation is one operation of the API as it is asked for.
type Operation struct {
	Name   string `json:"name"` // as faults and counts call it
	Method string `json:"method"`
	Path   string `json:"path"` // with variables in braces
	Op     string `json:"op,omitempty"`
}

// Operations returns the names of all operations, in order.
func (s *Server) Operations() []string {
	var names []string
	for _, o := range s.Catalogue() {
		names = append(names, o.Name)
	}
	return slices.Compact(names)
}

// Catalogue returns all operations by name. One that is served at several paths is there several times.
func (s *Server) Catalogue() []Operation {
	var all []Operation
	for _, routes := range s.routes {
		for _, r := range routes {
			slash := "/"
			if r.NoSlash {
				slash = ""
			}
			for _, a := range r.Actions {
				all = append(all, Operation{Name: a.Name, Method: a.Method, Path: Root + strings.Trim(r.Path, "/") + slash, Op: a.Op})
			}
		}
	}
	slices.SortFunc(all, func(a, b Operation) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Path, b.Path), strings.Compare(a.Op, b.Op))
	})
	return all
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.EscapedPath()
	switch {
	case path == "/MAAS/api/version/":
		s.answer(Plain{Type: "text/plain", Body: "2.0"}, nil).send(w)
		return
	case strings.HasPrefix(path, "/MAAS/api/1.0/"):
		s.answer(nil, Text(http.StatusGone, "The 1.0 API is no longer available. Please use API version 2.0.")).send(w)
		return
	}
	res, vars, op := s.match(path)
	if res == nil {
		s.unknown(r.URL.Path).send(w)
		return
	}
	action, req, err := s.admit(r, res, vars, op)
	switch {
	case err == errTooLarge:
		w.Header().Set("Connection", "close")
		page := fault.Preset("too-large")
		replacement(&page).send(w)
		return
	case err != nil:
		s.answer(nil, err).send(w)
		return
	}
	s.run(w, action, req, res.Open)
}

// unknown answers a path that no resource has: MAAS's 404, or a 501 where MAAS has something that the simulator lacks.
func (s *Server) unknown(path string) *reply {
	if what := notSimulated(path); what != "" {
		return s.answer(nil, Text(http.StatusNotImplemented, "The simulator does not have MAAS's %s.", what))
	}
	answer := s.answer(nil, Text(http.StatusNotFound, "Unknown API endpoint: %s.", path))
	answer.header.Del("Vary")
	return answer
}

// admit does what Piston does before a handler runs: who asks, for which operation, and may they.
func (s *Server) admit(r *http.Request, res *route, vars map[string]string, op string) (*Action, *Request, *Error) {
	req := &Request{Path: vars, URI: r.URL.RequestURI()}
	bad := req.parseBody(r)
	if bad == errTooLarge { // nginx asks for no key
		return nil, nil, bad
	}
	if !res.Open {
		user, refusal := s.keys.authenticate(r, &req.Form)
		if refusal != nil {
			return nil, nil, refusal
		}
		req.User = user
		if user == nil && (!res.Anonymous || !res.has(r.Method)) {
			return nil, nil, &Error{Status: http.StatusUnauthorized, ContentType: "text/plain", Body: []byte("Forbidden"), Resource: true}
		}
		if user != nil && user.Inactive {
			return nil, nil, Text(http.StatusForbidden, "User is not allowed access to this API.")
		}
	}
	if bad != nil {
		return nil, nil, bad
	}
	req.Query = parseQuery(r.URL.RawQuery)
	action, refusal := res.dispatch(r.Method, req, op)
	if refusal != nil {
		return nil, nil, refusal
	}
	if action.Admin && !req.User.Admin {
		return nil, nil, Text(http.StatusForbidden, "%s", cmp.Or(action.Refusal, "This method is reserved for admin users."))
	}
	if refusal := req.useBody(action); refusal != nil {
		return nil, nil, refusal
	}
	return action, req, nil
}
