package rest

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// route is a resource with its path taken apart.
type route struct {
	Resource
	segments []string
	methods  []string // that any operation has
}

func newRoute(r Resource) *route {
	r.Actions = slices.Clone(r.Actions)
	one := &route{Resource: r, segments: strings.Split(strings.Trim(r.Path, "/"), "/")}
	for i := range one.Actions {
		a := &one.Actions[i]
		if a.Op == "" && (a.Method == http.MethodPost || a.Method == http.MethodPut) {
			a.Data = true
		}
		if !slices.Contains(one.methods, a.Method) {
			one.methods = append(one.methods, a.Method)
		}
	}
	slices.Sort(one.methods)
	return one
}

// has reports whether any operation has the method.
func (r *route) has(method string) bool { return slices.Contains(r.methods, method) }

// match finds the resource of a path. Each is also found, without a slash at the end, by its path and "/op-" with the name of one of its
// operations. An empty system id ("machines//") is the whole collection, as in MAAS.
func (s *Server) match(path string) (found *route, vars map[string]string, op string) {
	rest, ok := strings.CutPrefix(path, Root)
	if !ok {
		return nil, nil, ""
	}
	slash := strings.HasSuffix(rest, "/")
	segments := strings.Split(strings.TrimRight(rest, "/"), "/")
	last := len(segments) - 1
	op, suffixed := strings.CutPrefix(segments[last], "op-")
	for _, r := range s.routes[segments[0]] {
		if slash != r.NoSlash {
			if vars := r.vars(segments); vars != nil {
				return r, vars, ""
			}
		}
		if slash || !suffixed || last == 0 || r.NoSlash || !slices.ContainsFunc(r.Actions, func(a Action) bool { return a.Op == op }) {
			continue
		}
		if vars := r.vars(segments[:last]); vars != nil {
			return r, vars, op
		}
	}
	return nil, nil, ""
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

// dispatch chooses the operation by method and op; op is in the query, else in the form, else what the path ended in.
func (r *route) dispatch(method string, req *Request, suffix string) (*Action, *Error) {
	if !r.has(method) {
		return nil, &Error{
			Status: http.StatusMethodNotAllowed, ContentType: "text/html; charset=utf-8", Resource: true,
			Header: http.Header{"Allow": {strings.Join(r.methods, ", ")}},
		}
	}
	op, given := req.Query.Get("op"), true
	if op == "" {
		op, given = req.Form.Get("op"), req.Form.Has("op")
	}
	if !given {
		op = suffix
	}
	for i := range r.Actions {
		a := &r.Actions[i]
		if a.Method == method && a.Op == op && (op != "" || !given) && (req.User != nil || a.Anonymous || r.Open) {
			return a, nil
		}
	}
	if op == "" && !given {
		op = "None"
	}
	return nil, Text(http.StatusBadRequest, "Unrecognised signature: method=%s op=%s", method, op)
}

// absent are MAAS's resources, by the first segment of their paths, of which the simulator has nothing.
var absent = []string{
	"account", "agents", "boot-sources", "commissioning-results", "commissioning-scripts", "describe", "devices", "dhcp-snippets", "discovery", "files",
	"images-sync-progress", "installation-results", "license-key", "license-keys", "networks", "notifications", "openapi.yaml",
	"package-repositories", "regioncontrollers", "scripts", "static-routes",
}

// absentOf are further ones that belong to a node.
var absentOf = []string{
	"bcache", "bcache-cache-set", "bcache-cache-sets", "bcaches", "blockdevices", "devices", "raid", "raids", "results", "vmfs-datastore",
	"vmfs-datastores", "volume-group", "volume-groups",
}

// notSimulated names the resource of MAAS that a path belongs to and the simulator lacks, or is empty when MAAS has no such path either.
func notSimulated(path string) string {
	rest, ok := strings.CutPrefix(path, Root)
	if !ok {
		return ""
	}
	segments := strings.Split(rest, "/")
	switch {
	case slices.Contains(absent, segments[0]):
		return segments[0]
	case segments[0] == "nodes" && len(segments) > 2 && slices.Contains(absentOf, segments[2]):
		return segments[2] + " of a node"
	}
	return ""
}
