package maasmachine

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/capmaas/capmaas/api/records"
)

// turns remembers whose turn it is on each cluster's list.
type turns struct {
	mu   sync.Mutex
	next map[types.UID]int
}

// some gives up to most entries, beginning after those that it gave last.
func (t *turns) some(cluster types.UID, all []records.Deletion, most int) []records.Deletion {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.next == nil {
		t.next = map[types.UID]int{}
	}
	first := t.next[cluster] % len(all)
	count := min(most, len(all))
	t.next[cluster] = first + count
	picked := make([]records.Deletion, 0, count)
	for i := range count {
		picked = append(picked, all[(first+i)%len(all)])
	}
	return picked
}
