package faults

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"

	"google.golang.org/protobuf/reflect/protoreflect"

	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// victim is a process that dies at a boundary.
type victim string

const (
	service victim = "service"
	manager victim = "manager"
)

// moment is when, in a request's life, a process dies.
type moment string

const (
	beforeSend  moment = "before it arrives"
	afterEffect moment = "after its effect"
	afterAnswer moment = "after its answer"
)

// layer is what a request goes through.
type layer string

const (
	rpcLayer  layer = "rpc"
	maasLayer layer = "maas"
)

// boundary is one point at which one process can die.
type boundary struct {
	layer  layer
	name   string
	moment moment
	victim victim
}

func (b boundary) String() string {
	return fmt.Sprintf("%s %s: %s dies %s", b.layer, b.name, b.victim, b.moment)
}

// boundaries counts how often a process died at each known boundary. RPCs are known from their descriptors; which of them
// the manager calls, and what is asked of MAAS, is known once it was done.
type boundaries struct {
	mu    sync.Mutex
	hits  map[boundary]int
	asked map[string]bool
	rng   *rand.Rand
}

func newBoundaries(seed uint64) *boundaries {
	b := &boundaries{hits: map[boundary]int{}, asked: map[string]bool{}, rng: rand.New(rand.NewPCG(seed, 1))}
	for _, name := range rpcNames() {
		for _, m := range []moment{beforeSend, afterEffect, afterAnswer} {
			b.hits[boundary{rpcLayer, name, m, service}] = 0
		}
	}
	return b
}

// rpcNames are all calls of the contract, by their full names.
func rpcNames() []string {
	var names []string
	for _, file := range []protoreflect.FileDescriptor{
		lxdprovisionerv1.File_lxdprovisioner_v1_lxd_provisioner_proto,
		lxdprovisionerv1.File_lxdprovisioner_v1_bare_metal_provisioner_proto,
		lxdprovisionerv1.File_lxdprovisioner_v1_region_provisioner_proto,
	} {
		for i := range file.Services().Len() {
			s := file.Services().Get(i)
			for j := range s.Methods().Len() {
				names = append(names, fmt.Sprintf("/%s/%s", s.FullName(), s.Methods().Get(j).Name()))
			}
		}
	}
	return names
}

// learnRequest notes that the service asks this of MAAS.
func (b *boundaries) learnRequest(operation string) {
	b.learn(operation, func() {
		for _, m := range []moment{beforeSend, afterEffect} {
			b.hits[boundary{maasLayer, operation, m, service}] = 0
		}
	})
}

// learnCall notes that the manager makes this call; health checks and the like are no part of the contract.
func (b *boundaries) learnCall(method string) {
	b.learn(method, func() {
		if _, ours := b.hits[boundary{rpcLayer, method, beforeSend, service}]; !ours {
			return
		}
		for _, m := range []moment{beforeSend, afterEffect, afterAnswer} {
			b.hits[boundary{rpcLayer, method, m, manager}] = 0
		}
	})
}

func (b *boundaries) learn(name string, enter func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.asked[name] {
		b.asked[name] = true
		enter()
	}
}

// knows says whether an operation of MAAS was asked through a gate, for whatever.
func (b *boundaries) knows(operation string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for asked := range b.asked {
		if name, _, _ := strings.Cut(asked, purposeMark); name == operation {
			return true
		}
	}
	return false
}

// choose says whether one of the processes that may die is to die here, and which. A boundary that was never hit is hit
// at once; others by chance, the rarer the more often.
func (b *boundaries) choose(l layer, name string, m moment, mayDie []victim, chance float64) (boundary, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var best *boundary
	for _, v := range mayDie {
		here := boundary{l, name, m, v}
		hits, known := b.hits[here]
		if known && (best == nil || hits < b.hits[*best]) {
			best = &here
		}
	}
	if best == nil || b.hits[*best] > 0 && b.rng.Float64() >= chance/float64(b.hits[*best]) {
		return boundary{}, false
	}
	b.hits[*best]++
	return *best, true
}

// figures are how many boundaries were hit, of how many.
func (b *boundaries) figures() (hit, known int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, hits := range b.hits {
		if hits > 0 {
			hit++
		}
	}
	return hit, len(b.hits)
}

// each gives every known boundary with how often somebody died there, in alphabetical order.
func (b *boundaries) each(tell func(here boundary, deaths int)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, here := range slices.SortedFunc(maps.Keys(b.hits), func(x, y boundary) int { return cmp.Compare(x.String(), y.String()) }) {
		tell(here, b.hits[here])
	}
}
