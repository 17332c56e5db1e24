// Package rest is the HTTP face of the simulated MAAS: paths, OAuth, dispatch by method and op, forms, and the shapes of its answers.
//
// It follows django-piston3, the layer that MAAS serves its API with, and MAAS's error middleware. It knows nothing of machines.
package rest

import (
	"net/http"
	"net/url"
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
	// Anonymous operations also answer requests that are not signed.
	Anonymous bool
	Handle    Handler
}

// Resource is a path with its operations. Segments in braces are variables; the last segment may hold slashes when it ends in "...}".
type Resource struct {
	Path      string
	Anonymous bool // answers requests that are not signed, at least with an error of its own
	NoSlash   bool // registered without a trailing slash
	Actions   []Action
}

// Config says how a Server is made.
type Config struct {
	Keys  []Key
	Clock func() time.Time
	// Concern names the host and the machine that a request is about, for the fault plan.
	Concern func(action string, path map[string]string) fault.Request
	Plan    *fault.Plan
	Counts  *Counts
	// Wait passes time that a fault asks for.
	Wait func(time.Duration)
}

// Server serves resources.
type Server struct {
	cfg       Config
	keys      *keyring
	resources []route
}

type route struct {
	Resource
	segments []string
}

// NewServer returns a server for the resources; the first whose path matches answers.
func NewServer(cfg Config, resources []Resource) *Server {
	s := &Server{cfg: cfg, keys: &keyring{keys: cfg.Keys, clock: cfg.Clock, nonces: make(map[string]bool)}}
	for _, r := range resources {
		s.resources = append(s.resources, route{Resource: r, segments: strings.Split(strings.Trim(r.Path, "/"), "/")})
	}
	return s
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.EscapedPath()
	if path == "/MAAS/api/version/" {
		write(w, Plain{Type: "text/plain", Body: "2.0"}, nil)
		return
	}
	if strings.HasPrefix(path, "/MAAS/api/1.0/") {
		writeError(w, Text(http.StatusGone, "The 1.0 API is no longer available. Please use API version 2.0."))
		return
	}
	res, vars := s.match(path)
	if res == nil {
		e := Text(http.StatusNotFound, "Unknown API endpoint: %s.", r.URL.Path)
		w.Header().Set("Content-Type", e.ContentType)
		w.WriteHeader(e.Status)
		_, _ = w.Write(e.Body)
		return
	}
	action, req, err := s.admit(r, res, vars)
	if err != nil {
		writeError(w, err)
		return
	}
	s.run(w, action, req)
}

// match finds the resource of a path. An empty system id ("machines//") is the whole collection, as in MAAS.
func (s *Server) match(path string) (*route, map[string]string) {
	rest, ok := strings.CutPrefix(path, Root)
	if !ok {
		return nil, nil
	}
	slash := strings.HasSuffix(rest, "/")
	segments := strings.Split(strings.TrimRight(rest, "/"), "/")
	for i := range s.resources {
		r := &s.resources[i]
		if slash == r.NoSlash {
			continue
		}
		if vars := r.vars(segments); vars != nil {
			return r, vars
		}
	}
	return nil, nil
}

func (r *route) vars(segments []string) map[string]string {
	vars := make(map[string]string)
	for i, want := range r.segments {
		if i >= len(segments) {
			return nil
		}
		name, variable := strings.CutPrefix(want, "{")
		name = strings.TrimSuffix(name, "}")
		got := segments[i]
		if rest, ok := strings.CutSuffix(name, "..."); ok {
			name, got = rest, strings.Join(segments[i:], "/")
			segments = segments[:i+1]
		}
		if !variable {
			if got != want {
				return nil
			}
			continue
		}
		value, err := url.PathUnescape(got)
		if err != nil {
			return nil
		}
		vars[name] = value
	}
	if len(segments) != len(r.segments) {
		return nil
	}
	return vars
}

// admit does what Piston does before a handler runs: who asks, for which operation, and may they.
func (s *Server) admit(r *http.Request, res *route, vars map[string]string) (*Action, *Request, *Error) {
	user, refusal := s.keys.authenticate(r)
	if refusal != nil {
		return nil, nil, refusal
	}
	if user == nil && !res.Anonymous {
		return nil, nil, &Error{Status: http.StatusUnauthorized, ContentType: "text/plain", Body: []byte("Forbidden"), Resource: true}
	}
	req := &Request{User: user, Path: vars, URI: r.URL.RequestURI()}
	var err error
	if req.Query, err = parseQuery(r.URL.RawQuery); err != nil {
		return nil, nil, Text(http.StatusBadRequest, "%v", err)
	}
	if err := req.parseBody(r); err != nil {
		return nil, nil, Text(http.StatusBadRequest, "%v", err)
	}
	action, refusal := res.dispatch(r.Method, req)
	if refusal != nil {
		return nil, nil, refusal
	}
	if action.Admin && !user.Admin {
		return nil, nil, Text(http.StatusForbidden, "This method is reserved for admin users.")
	}
	return action, req, nil
}

func (r *route) dispatch(method string, req *Request) (*Action, *Error) {
	op := req.Query.Get("op")
	if op == "" && method == http.MethodPost {
		op = req.Form.Get("op")
	}
	var allowed []string
	for i := range r.Actions {
		a := &r.Actions[i]
		if a.Method == method && a.Op == op && (req.User != nil || a.Anonymous) {
			return a, nil
		}
		if !slices.Contains(allowed, a.Method) {
			allowed = append(allowed, a.Method)
		}
	}
	if !slices.Contains(allowed, method) {
		slices.Sort(allowed)
		return nil, &Error{
			Status: http.StatusMethodNotAllowed, ContentType: "text/html; charset=utf-8", Resource: true,
			Header: http.Header{"Allow": {strings.Join(allowed, ", ")}},
		}
	}
	if op == "" {
		op = "None"
	}
	return nil, Text(http.StatusBadRequest, "Unrecognised signature: method=%s op=%s", method, op)
}
