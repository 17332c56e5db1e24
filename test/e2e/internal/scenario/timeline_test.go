package scenario_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/capmaas/capmaas/test/e2e/internal/scenario"
)

func TestTimeline_counts_from_its_beginning(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	line := scenario.NewTimeline(&out, func() time.Time { return now })

	line.Sayf("machine %s on", "cp-1")
	now = now.Add(2*time.Minute + 340*time.Millisecond)
	line.Sayf("done")

	assert.Equal(t, "    0.0s  machine cp-1 on\n  120.3s  done\n", out.String())
}

func TestTimeline_says_of_states_what_has_changed(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	line := scenario.NewTimeline(&out, func() time.Time { return time.Time{} })
	said := func() string {
		defer out.Reset()
		return strings.ReplaceAll(out.String(), "    0.0s  ", "")
	}

	line.Changes("Machine", map[string]string{"b": "Pending", "a": ""})
	assert.Equal(t, "Machine a: \nMachine b: Pending\n", said(), "what is new, in the order of the names")
	line.Changes("Machine", map[string]string{"a": "", "b": "Running"})
	assert.Equal(t, "Machine b: Running\n", said(), "what has changed")
	line.Changes("Machine", map[string]string{"a": "", "b": "Running"})
	assert.Empty(t, said(), "nothing where nothing has")
	line.Changes("DNS", nil)
	assert.Empty(t, said(), "another kind takes none of these along")
	line.Changes("Machine", map[string]string{"b": "Running"})
	assert.Equal(t, "Machine a: gone\n", said())
	line.Changes("Machine", map[string]string{"a": "", "b": "Running"})
	assert.Equal(t, "Machine a: \n", said(), "what comes back is new")
}
