package scenario

import (
	"fmt"
	"io"
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

// changes writes a line for each name whose state is another than before, or that is gone.
func (t *Timeline) changes(kind string, states map[string]string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for name, state := range states {
		if key := kind + " " + name; t.last[key] != state {
			t.last[key] = state
			t.write(key + ": " + state)
		}
	}
	for key := range t.last {
		var name string
		if n, err := fmt.Sscanf(key, kind+" %s", &name); err != nil || n != 1 {
			continue
		}
		if _, there := states[name]; !there {
			delete(t.last, key)
			t.write(key + ": gone")
		}
	}
}

func (t *Timeline) write(text string) {
	fmt.Fprintf(t.out, "%7.1fs  %s\n", t.now().Sub(t.began).Seconds(), text)
}
