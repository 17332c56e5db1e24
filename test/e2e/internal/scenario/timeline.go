package scenario

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Timeline says what happens, with the seconds since the run began.
type Timeline struct {
	mu    sync.Mutex
	out   io.Writer
	now   func() time.Time
	began time.Time
	last  map[string]string
}

// NewTimeline begins a time line.
func NewTimeline(out io.Writer, now func() time.Time) *Timeline {
	return &Timeline{out: out, now: now, began: now(), last: make(map[string]string)}
}

// Sayf writes a line.
func (t *Timeline) Sayf(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.write(fmt.Sprintf(format, args...))
}

// Changes writes a line for each name of a kind whose state is another than before, or that is gone, in the order of the names.
func (t *Timeline) Changes(kind string, states map[string]string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(states)) {
		key, state := kind+" "+name, states[name]
		if last, known := t.last[key]; !known || last != state {
			t.last[key] = state
			t.write(key + ": " + state)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(t.last)) {
		name, of := strings.CutPrefix(key, kind+" ")
		if _, there := states[name]; of && !there {
			delete(t.last, key)
			t.write(key + ": gone")
		}
	}
}

func (t *Timeline) write(text string) {
	fmt.Fprintf(t.out, "%7.1fs  %s\n", t.now().Sub(t.began).Seconds(), text)
}
