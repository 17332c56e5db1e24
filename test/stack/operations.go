package stack

import (
	"net/http"
	"strings"

	"github.com/capmaas/capmaas/services/maassim"
)

// Operations names requests as the simulator does.
type Operations []maassim.Operation

// Of gives the name of a request's operation; empty where it is none.
func (o Operations) Of(r *http.Request) string {
	path := parts(r.URL.Path)
	for _, candidate := range o {
		if candidate.Method == r.Method && candidate.Op == r.URL.Query().Get("op") && matches(parts(candidate.Path), path) {
			return candidate.Name
		}
	}
	return ""
}

// parts are those of a path of the API.
func parts(path string) []string {
	return strings.Split(strings.Trim(strings.TrimPrefix(path, "/MAAS/api/2.0/"), "/"), "/")
}

// matches compares a path with one that has variables in braces.
func matches(pattern, path []string) bool {
	if len(pattern) != len(path) {
		return false
	}
	for i := range pattern {
		if !strings.HasPrefix(pattern[i], "{") && pattern[i] != path[i] {
			return false
		}
	}
	return true
}
