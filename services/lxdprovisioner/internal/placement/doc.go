// Package placement chooses LXD hosts for VMs: values in, a decision out.
//
//	decision, err := placement.Place(placement.Request{
//		VM:          "cp-0-x7k2p",
//		Size:        inventory.VMSize{Cores: 4, MemoryMiB: 8192, Disks: []inventory.Disk{{SizeGB: 60}}},
//		Constraints: placement.Constraints{Pools: []string{"cp"}},
//		Group:       placement.Group{Key: "prod/kcp", Peers: peers},
//		Pending:     ledger,
//	}, snapshot)
//	if noFit, ok := errors.AsType[*placement.NoFit](err); ok {
//		// noFit.Class, noFit.Summary, and noFit.Rejections: every host and why it is out.
//	}
//	// decision.Chosen, decision.Candidates() and decision.Rejections() say where and why.
//
// Distribute plans several VMs at once. Unusable and Usage serve those who list hosts.
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
// is worth saying only if the pool is where all of them ended.
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
// To add a rule: write it in a file of its own as the others are, put it into its place in rules.go,
// and add a scenario to testdata.
//
// Place is linear in the hosts. It keeps one byte for each host; messages are written and candidates
// are sorted only when somebody asks for them.
package placement
