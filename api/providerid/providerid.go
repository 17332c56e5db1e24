// Package providerid makes and reads the provider IDs that join a MaasMachine, its Machine and its Node.
package providerid

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
)

// Scheme is what a provider ID begins with.
type Scheme string

const (
	// BareMetal is the scheme of physical machines. VMs that another version of this provider made carry it too.
	BareMetal Scheme = "maas"
	// LXD is the scheme of VMs on LXD hosts.
	LXD Scheme = "maas-lxd"
)

// systemIDPattern covers MAAS's system ids and keeps out whatever could change a path that is built from one.
var systemIDPattern = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// ID is what a provider ID says.
type ID struct {
	// Scheme says which form the ID has.
	Scheme Scheme
	// Zone is the MAAS zone in which the machine was when the ID was made; it may be empty.
	Zone string
	// HostSystemID is the system id of the VM's host. Only an older form of the scheme LXD has it.
	HostSystemID string
	// SystemID is MAAS's id of the machine.
	SystemID string
}

// Format makes the provider ID of a new machine, <scheme>:///<zone>/<system id>. It refuses an unknown scheme, a system id
// that is none, and a zone with a slash or control characters. An ID that is stored somewhere must be kept as it is, not
// parsed and formatted again: Nodes can't change theirs.
func Format(scheme Scheme, zone, systemID string) (string, error) {
	id := ID{Scheme: scheme, Zone: zone, SystemID: systemID}
	if err := id.check(); err != nil {
		return "", fmt.Errorf("format provider ID: %w", err)
	}
	return string(scheme) + ":///" + zone + "/" + systemID, nil
}

// Parse reads a provider ID in every form that this provider and its predecessors have written:
//
//	maas:///<zone>/<id>             bare metal, and VMs of the predecessors
//	maas-lxd:///<zone>/<id>         VMs
//	maas-lxd:///<zone>/<host>/<id>  VMs of an earlier line, the host's system id before the VM's
//	<scheme>://<zone>/<id>          two slashes instead of three
//
// The zone may be empty everywhere: maas:////<id>, maas-lxd:////<host>/<id>, <scheme>:///<id>.
func Parse(providerID string) (ID, error) {
	scheme, rest, found := strings.Cut(providerID, "://")
	if !found {
		return ID{}, fmt.Errorf("parse provider ID %q: no scheme", providerID)
	}
	id := ID{Scheme: Scheme(scheme)}
	path, threeSlashes := strings.CutPrefix(rest, "/")
	segments := strings.Split(path, "/")
	switch {
	case len(segments) == 1 && threeSlashes:
		id.SystemID = segments[0]
	case len(segments) == 2:
		id.Zone, id.SystemID = segments[0], segments[1]
	case len(segments) == 3 && threeSlashes && id.Scheme == LXD:
		id.Zone, id.HostSystemID, id.SystemID = segments[0], segments[1], segments[2]
		if !systemIDPattern.MatchString(id.HostSystemID) {
			return ID{}, fmt.Errorf("parse provider ID %q: host %q is no system id", providerID, id.HostSystemID)
		}
	default:
		return ID{}, fmt.Errorf("parse provider ID %q: want %s:///<zone>/<system id>", providerID, scheme)
	}
	if err := id.check(); err != nil {
		return ID{}, fmt.Errorf("parse provider ID %q: %w", providerID, err)
	}
	return id, nil
}

func (id ID) check() error {
	if id.Scheme != BareMetal && id.Scheme != LXD {
		return fmt.Errorf("scheme %q is neither %s nor %s", id.Scheme, BareMetal, LXD)
	}
	if !systemIDPattern.MatchString(id.SystemID) {
		return fmt.Errorf("%q is no system id", id.SystemID)
	}
	if strings.ContainsFunc(id.Zone, func(r rune) bool { return r == '/' || unicode.IsControl(r) }) {
		return fmt.Errorf("%q is no zone", id.Zone)
	}
	return nil
}
