package maassim

import (
	"strings"
	"time"

	"github.com/capmaas/capmaas/services/maassim/internal/rest"
)

// Cost is the time that MAAS itself takes for a call of one operation, besides what it waits for LXD.
type Cost struct {
	Call    time.Duration // every call
	Row     time.Duration // for each element of the list that is returned
	Refused time.Duration // a call that ends in an error; 0: as Call
}

// CostModel is what operations cost, by their names. "machines.*" is for those of machines that have no entry, and so on; "" for all others.
type CostModel map[string]Cost

// Parts of operations whose cost differs too much from the rest.
const (
	costAnyMachine     = "machines.allocate without system_id"
	costShortAddresses = "subnets.ip_addresses without users and summary"
)

// RealCost is what MAAS 3.4.10 took when it was measured: run from source on two shared cores, with one regiond worker, 3,100 machines that each
// have one NIC and one disk, 100 VM hosts and 3,000 addresses in a subnet. Medians; where a range was measured its middle. Where calls with
// few and with many rows were measured, Row is the slope. Entries marked "like" were not measured and take the cost of an operation that does
// the same to the database.
func RealCost() CostModel {
	const ms, us = time.Millisecond, time.Microsecond
	return CostModel{
		"": {Call: 20 * ms}, // whoami 18, zones 20, dnsresources without records 16

		// Without result 176 (owner and not_status), 208 (status) and 212 (400 ids and not_status); 50 by id 1,370; all 75,564.
		"machines.list":           {Call: 200 * ms, Row: 24 * ms},
		"machines.list_allocated": {Call: 200 * ms, Row: 24 * ms}, // like a list
		"tags.machines":           {Call: 200 * ms, Row: 23 * ms}, // 50 machines 1,300 to 1,400
		"tags.nodes":              {Call: 200 * ms, Row: 23 * ms}, // like machines: it renders them the same way
		"machines.read":           {Call: 190 * ms},               // 185 to 255

		"machines.allocate":                 {Call: 219 * ms, Refused: 31 * ms},
		costAnyMachine:                      {Call: 220 * ms}, // without a match
		"machines.deploy":                   {Call: 1350 * ms, Refused: 190 * ms},
		"machines.release":                  {Call: 350 * ms, Refused: 190 * ms},
		"machines.release_many":             {Call: 350 * ms, Refused: 190 * ms}, // like release
		"machines.delete":                   {Call: 248 * ms, Refused: 190 * ms},
		"machines.set_workload_annotations": {Call: 174 * ms},

		"machines.*":                 {Call: 190 * ms}, // like a read: each answers with the machine, or has to find it
		"machines.query_power_state": {Call: 55 * ms},  // like a read of a host

		// 10 hosts 363, 20 hosts 532, 100 hosts 2,076; one 48 to 62.
		"vm-hosts.list":    {Call: 150 * ms, Row: 20 * ms},
		"vm-hosts.read":    {Call: 55 * ms},
		"vm-hosts.*":       {Call: 55 * ms},                    // like a read
		"vm-hosts.compose": {Call: 400 * ms, Refused: 55 * ms}, // 300 to 500
		"vm-hosts.refresh": {Call: 400 * ms, Refused: 55 * ms}, // like compose
		"vm-hosts.update":  {Call: 400 * ms, Refused: 55 * ms}, // like compose: it discovers the host too

		"interfaces.link_subnet":   {Call: 315 * ms, Refused: 145 * ms},
		"interfaces.unlink_subnet": {Call: 315 * ms, Refused: 145 * ms}, // like link_subnet

		"subnets.reserved_ip_ranges":   {Call: 206 * ms},
		"subnets.unreserved_ip_ranges": {Call: 206 * ms}, // like reserved_ip_ranges
		"subnets.statistics":           {Call: 130 * ms},
		"subnets.ip_addresses":         {Call: 20 * ms, Row: 1335 * us},  // 3,000 addresses 4,025
		costShortAddresses:             {Call: 20 * ms, Row: 37 * us},    // 3,000 addresses 132
		"ipaddresses.list":             {Call: 20 * ms, Row: 25480 * us}, // all 3,100 took 79,000
		"dnsresources.list":            {Call: 16 * ms, Row: 2670 * us},  // without records 16; like addresses, two a record
	}
}

// part names the part of an operation that a request belongs to.
func part(operation string, q *rest.Request) string {
	switch operation {
	case "machines.allocate":
		if !q.Form.Has("system_id") {
			return costAnyMachine
		}
	case "subnets.ip_addresses":
		off := func(name string) bool { return q.Query.Has(name) && !q.Query.Bool(name) }
		if off("with_username") && off("with_summary") {
			return costShortAddresses
		}
	}
	return operation
}

// of is what a call has cost by its answer.
func (m CostModel) of(operation string, q *rest.Request, value any, err error) time.Duration {
	if m == nil {
		return 0
	}
	c := m.entry(part(operation, q))
	if err != nil {
		if c.Refused > 0 {
			return c.Refused
		}
		return c.Call
	}
	if rows, isList := value.([]map[string]any); isList {
		return c.Call + time.Duration(len(rows))*c.Row
	}
	return c.Call
}

func (m CostModel) entry(operation string) Cost {
	if c, ok := m[operation]; ok {
		return c
	}
	family, _, _ := strings.Cut(operation, ".")
	if c, ok := m[family+".*"]; ok {
		return c
	}
	return m[""]
}
