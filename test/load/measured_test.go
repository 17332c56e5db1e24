package load_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/test/apiserver"
	"github.com/capmaas/capmaas/test/load"
	"github.com/capmaas/capmaas/test/stack"
)

func TestRun_measured_in_part_keeps_the_rest(t *testing.T) {
	t.Parallel()
	usage := load.Usage{Time: time.Minute, Operations: map[string]load.Cost{"zones.list": {Traffic: stack.Traffic{Requests: 3, Bytes: 9}, Region: time.Second}}}
	before := load.Run{
		Lives: []load.Figures{{Machines: 1}, {Machines: 100, Creating: usage}, {Machines: 100, StaticIP: true}},
		Added: []load.Added{{Machines: 1}}, Memory: []load.Memory{{Machines: 1000, Service: 1}},
	}
	file := filepath.Join(t.TempDir(), "measured.json")
	require.NoError(t, load.WriteMeasured(file, before))
	kept, err := load.ReadMeasured(file)
	require.NoError(t, err)
	assert.Equal(t, before, kept)
	after := kept.With(load.Run{Lives: []load.Figures{{Machines: 100, Hosts: 12}, {Machines: 10}}, Outage: []load.Outage{{Machines: 50}}})
	assert.Equal(t, []load.Figures{{Machines: 1}, {Machines: 10}, {Machines: 100, Hosts: 12}, {Machines: 100, StaticIP: true}}, after.Lives)
	assert.Equal(t, before.Memory, after.Memory)
	assert.Equal(t, []load.Outage{{Machines: 50}}, after.Outage)
}

// The page says what was measured: `make load` writes both.
func TestPage_says_what_was_measured(t *testing.T) {
	t.Parallel()
	root, err := apiserver.Root()
	require.NoError(t, err)
	measured, err := load.ReadMeasured(filepath.Join(root, load.MeasuredFile))
	require.NoError(t, err)
	written, err := load.Section(filepath.Join(root, load.Page))
	require.NoError(t, err)
	assert.Equal(t, measured.Document(), written)
}
