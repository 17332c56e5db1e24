// Package placement chooses LXD hosts for VMs: values in, a decision out.
//
//	index := placement.NewIndex(snapshot)
//	decision, err := index.Place(placement.Request{
//		VM:          "cp-0-x7k2p",
//		Size:        inventory.VMSize{Cores: 4, MemoryMiB: 8192, Disks: []inventory.Disk{{SizeGB: 60}}},
//		Constraints: placement.Constraints{Pools: []string{"cp"}},
//		Group:       placement.Group{Key: "prod/kcp", Peers: peers},
//		Pending:     ledger,
//	})
//	if noFit, ok := errors.AsType[*placement.NoFit](err); ok {
//		// noFit.Class, noFit.Summary, and noFit.Rejections: every host and why it is out.
//	}
//	// decision.Chosen, decision.Candidates() and decision.Rejections() say where and why.
//
// Index.Distribute plans several VMs at once. The functions Place and Distribute make an index for
// one question. Unusable and Usage serve those who list hosts.
//
// # Design
//
// Everything here is arithmetic on a snapshot: no I/O, no clock, no log, no memory. What was given
// out and is not to be seen in MAAS yet comes in as reservations; the ledger that keeps them belongs
// to the caller.
//
// A host goes through the rules in the order of the list in rules.go, and the first that rejects it
// is its rejection. The rules are ordered in stages, from what the host is to how much room it has,
// because the class of a failure is the furthest stage that any host came to: "no host in the pool"
// is worth saying only if the pool is where all of them ended. The hosts that came furthest want the
// least to be changed, so a summary tells an operator of them first; of a zone that has no usable host
// it tells first what is wrong with the hosts there.
//
// Hosts that pass are compared term by term, not by a sum, so that no amount of free memory outweighs
// a shared zone: kept choice, zone spread, host spread, preferred hosts, policy in steps of 5 %, own
// share, the policy's exact figure, and at last a hash of VM name and host, so that the order of the
// hosts never matters. The step lets a replica keep to its own share among hosts that are as good
// within 5 %; with one replica the order is that of the exact figure. A zone counts for zone spread
// only while a host in it fits: a full zone must not hold back the others.
//
// A disk without a storage pool goes to the host's default pool, by name: MAAS itself would fall
// back to any pool with room. A host that names no default pool is rejected for such a disk.
//
// # Adding a rule
//
// A rule is one file, one line and one story. To keep VMs off hosts with a tag of one's own, for
// example, write rule_unreliable.go as the other rules are,
//
//	// unreliableRule keeps hosts out that an operator has marked.
//	var unreliableRule = rule{
//		reason:  HostMaintenance,
//		stage:   stageUsable,
//		alone:   func(h *inventory.Host) bool { return slices.Contains(h.Tags, "unreliable") },
//		explain: func(_ *query, _ *host) string { return "has the tag unreliable" },
//	}
//
// put unreliableRule into its place in the list in rules.go, behind the last of its stage, and tell a
// story in testdata in which it matters, with a line "expect …" that says what must come out. Then
// go test -rewrite . fills in the rest of the answer, for reading.
//
// What decides is written in alone, alike or rejects, by what it looks at: a host alone (asked once
// a snapshot), the request and what a kind of hosts has in common (asked once a kind), or anything
// (asked of every host; when in doubt take this). A rule that looks at the request says in asked
// whether the request wants it. A reason that does not exist yet is a constant in the rule's file, with
// the phrase for summaries, and a value of RejectionReason in the contract's reason.proto.
//
// # Cost
//
// Index.Place is linear in the hosts and allocates nothing for a host but one byte in one slice; a kind
// of hosts takes some 50 bytes more, in another slice. In a fleet in which no two hosts are alike every host is a
// kind, and a choice takes two to three times as long. What no request changes is in the index; a host's numbers
// are in one cache line there, and nearly every host is settled by host.roomy alone. Messages are written and
// candidates are sorted only when somebody asks for them.
package placement
