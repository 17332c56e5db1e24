package maas

import (
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
)

// This file is the one home of what MAAS is asked. docs/maas-operations.md has a row for each
// operation; a test compares the two.

// class groups operations that share a time-out and a limit.
type class int

const (
	short class = iota
	list
	long
)

// classes are the classes with the words that metrics and documentation have for them.
var classes = map[class]string{short: "short", list: "list", long: "long"}

// operation is one thing that MAAS can be asked.
type operation struct {
	// name is how metrics, errors and logs call it.
	name   string
	method string
	// path is below /MAAS/api/2.0/, with {} where an id stands.
	path string
	// op is MAAS's op parameter; empty for plain reads and writes.
	op    string
	class class
	// unrepeated says that even a failed read isn't sent again, because it is costly or its failure means something.
	unrepeated bool
	// silent says that MAAS answers a success with 204 and no word; any other success isn't MAAS's.
	silent bool
	// outside says that the request works on LXD inside its database transaction, so that "try again"
	// doesn't say that nothing was made.
	outside bool
}

// changes says that MAAS changes something; such a request has an outcome that may be unknown.
func (o operation) changes() bool { return o.method != http.MethodGet }

// pathIDs are what may stand in a path: an empty segment would name the list, dots another object.
var pathIDs = regexp.MustCompile(`^[a-z0-9]{1,19}$`)

// at gives the path with the ids in it. The callers have checked what the ids are; this makes sure
// that none of them can lead anywhere else.
func (o operation) at(ids []string) (string, error) {
	path := o.path
	for _, id := range ids {
		if !pathIDs.MatchString(id) {
			return "", fault.New(fault.Invalid, fault.ReasonBadRequest, "%s: %q is no id", o.name, id)
		}
		path = strings.Replace(path, "{}", id, 1)
	}
	if strings.Contains(path, "{}") {
		return "", fault.New(fault.Internal, fault.ReasonInternal, "%s: an id is missing", o.name)
	}
	return path, nil
}

var operations []operation

// known registers an operation.
func known(o operation) operation {
	operations = append(operations, o)
	return o
}

var (
	opVersion = known(operation{name: "version.read", method: http.MethodGet, path: "version"})
	opWhoami  = known(operation{name: "users.whoami", method: http.MethodGet, path: "users", op: "whoami"})
	opZones   = known(operation{name: "zones.list", method: http.MethodGet, path: "zones"})
	opPools   = known(operation{name: "resourcepools.list", method: http.MethodGet, path: "resourcepools"})
	opImages  = known(operation{name: "boot-resources.list", method: http.MethodGet, path: "boot-resources"})
	opEvents  = known(operation{name: "events.query", method: http.MethodGet, path: "events", op: "query"})

	opVMHosts      = known(operation{name: "vm-hosts.list", method: http.MethodGet, path: "vm-hosts", class: list})
	opVMHost       = known(operation{name: "vm-hosts.read", method: http.MethodGet, path: "vm-hosts/{}"})
	opVMHostParams = known(operation{name: "vm-hosts.parameters", method: http.MethodGet, path: "vm-hosts/{}", op: "parameters"})
	opRefresh      = known(operation{name: "vm-hosts.refresh", method: http.MethodPost, path: "vm-hosts/{}", op: "refresh", class: long, outside: true})
	opCompose      = known(operation{name: "vm-hosts.compose", method: http.MethodPost, path: "vm-hosts/{}", op: "compose", class: long, outside: true})

	opMachine  = known(operation{name: "machines.read", method: http.MethodGet, path: "machines/{}"})
	opMachines = known(operation{name: "machines.list", method: http.MethodGet, path: "machines", class: list})
	opByName   = known(operation{name: "machines.find", method: http.MethodGet, path: "machines"})
	opClaim    = known(operation{name: "machines.claim", method: http.MethodPost, path: "machines", op: "allocate"})
	opAllocate = known(operation{name: "machines.allocate", method: http.MethodPost, path: "machines", op: "allocate"})
	opAnnotate = known(operation{name: "machines.annotate", method: http.MethodPost, path: "machines/{}", op: "set_workload_annotations"})
	opDeploy   = known(operation{name: "machines.deploy", method: http.MethodPost, path: "machines/{}", op: "deploy", class: long})
	opRelease  = known(operation{name: "machines.release", method: http.MethodPost, path: "machines/{}", op: "release", class: long})
	opAbort    = known(operation{name: "machines.abort", method: http.MethodPost, path: "machines/{}", op: "abort"})
	opPower    = known(operation{name: "machines.query_power_state", method: http.MethodGet, path: "machines/{}", op: "query_power_state", class: long, unrepeated: true})
	opPowerOn  = known(operation{name: "machines.power_on", method: http.MethodPost, path: "machines/{}", op: "power_on", class: long})
	opSwap     = known(operation{name: "machines.update", method: http.MethodPut, path: "machines/{}"})
	opDelete   = known(operation{name: "machines.delete", method: http.MethodDelete, path: "machines/{}", class: long, silent: true})

	opSubnets  = known(operation{name: "subnets.list", method: http.MethodGet, path: "subnets"})
	opReserved = known(operation{name: "subnets.reserved_ip_ranges", method: http.MethodGet, path: "subnets/{}", op: "reserved_ip_ranges"})
	opAssigned = known(operation{name: "subnets.ip_addresses", method: http.MethodGet, path: "subnets/{}", op: "ip_addresses"})
	opLink     = known(operation{name: "interfaces.link_subnet", method: http.MethodPost, path: "nodes/{}/interfaces/{}", op: "link_subnet"})

	opRecordFind   = known(operation{name: "dnsresources.find", method: http.MethodGet, path: "dnsresources"})
	opRecordCreate = known(operation{name: "dnsresources.create", method: http.MethodPost, path: "dnsresources"})
	opRecordUpdate = known(operation{name: "dnsresources.update", method: http.MethodPut, path: "dnsresources/{}"})
	opRecordDelete = known(operation{name: "dnsresources.delete", method: http.MethodDelete, path: "dnsresources/{}", silent: true})
	opAddressFree  = known(operation{name: "ipaddresses.release", method: http.MethodPost, path: "ipaddresses", op: "release", silent: true})
)

// Operation describes one kind of request to the program's metrics and to documentation.
type Operation struct {
	// Name is the one of Observation.Operation.
	Name string
	// Request is method, path below /MAAS/api/2.0/ and op, for example "POST vm-hosts/{}/?op=compose".
	Request string
	// Class is "short", "list" or "long": the limit and the time-out under which it runs.
	Class string
	// Changes says that MAAS changes something.
	Changes bool
	// Repeated is "reads" where a failed request is sent again, "conflict" where that is done only
	// when MAAS says that its transaction came to nothing, and "no".
	Repeated string
}

// Operations lists every request that a Client makes, in the order of operations.go.
func Operations() []Operation {
	out := make([]Operation, 0, len(operations))
	for _, o := range operations {
		request := o.method + " " + o.path + "/"
		if o.op != "" {
			request += "?op=" + o.op
		}
		out = append(out, Operation{
			Name: o.name, Request: request, Class: classes[o.class], Changes: o.changes(), Repeated: o.repeated(),
		})
	}
	return out
}

func (o operation) repeated() string {
	switch {
	case o.unrepeated || o.outside:
		return "no"
	case o.changes():
		return "conflict"
	default:
		return "reads"
	}
}

// of gives the time-out of a class.
func (t Timeouts) of(k class) time.Duration {
	switch k {
	case long:
		return t.Long
	case list:
		return t.List
	default:
		return t.Short
	}
}
