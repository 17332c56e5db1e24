package lxd

import (
	"errors"
	"strings"
)

// ValidName says in LXD's words what is wrong with the name of an instance. A dot passes, which a real LXD refuses: MAAS was recorded
// against one that took it, and what MAAS does then is worth having.
func ValidName(name string) error {
	switch {
	case name == "" || len(name) > 63:
		return errors.New("Invalid instance name: Name must be 1-63 characters long") //nolint:staticcheck // LXD's words
	case strings.ContainsAny(name[:1], "0123456789"):
		return errors.New("Invalid instance name: Name must not start with a number") //nolint:staticcheck // LXD's words
	}
	return nil
}
