package maassim_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/maassim"
)

func TestLoadConfig_reads_a_whole_world(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "world.json")
	write := func(text string) { require.NoError(t, os.WriteFile(file, []byte(text), 0o600)) }
	write(`{
		"version": "3.7", "speed": 10, "seed": 42,
		"zones": [{"name": "east"}],
		"subnets": [{"name": "lan", "cidr": "192.0.2.0/24", "gateway": "192.0.2.1"}],
		"hosts": [{"name": "big", "zone": "east", "cores": 8, "memoryMiB": 16384, "cpuOverCommit": 2, "lxdVersion": "6.7",
			"storagePools": [{"name": "fast", "total": 100000000000, "default": true}], "bridges": [{"name": "br0", "subnet": "lan"}]}],
		"durations": {"deploy": "90s"},
		"users": [{"name": "carol", "admin": true, "apiKey": "c:t:s"}],
		"faults": [{"operation": "zones.list", "status": 503, "latency": "2ms"}]
	}`)
	cfg, err := maassim.LoadConfig(file, maassim.Config{Durations: maassim.Durations{Release: time.Minute}, Zones: []maassim.ZoneConfig{{Name: "old", Description: "gone"}}})
	require.NoError(t, err)
	assert.Equal(t, maassim.Durations{Deploy: 90 * time.Second, Release: time.Minute}, cfg.Durations)
	assert.Equal(t, []maassim.ZoneConfig{{Name: "east"}}, cfg.Zones)
	m := start(t, cfg)
	assert.Equal(t, 503, m.get("zones/").status)
	host := m.as("c:t:s").get("vm-hosts/1/").object(t)
	assert.Equal(t, []any{"big", "6.7"}, []any{host["name"], host["version"]})

	for text, why := range map[string]string{
		`{"hots": []}`:                         `unknown field "hots"`,
		`{"durations": {"deploy": "soon"}}`:    "durations: deploy: time: invalid duration",
		`{"hosts": [{"name": "x", "cpu": 1}]}`: `unknown field "cpu"`,
		`{"faults": [{"statsu": 1}]}`:          `unknown field "statsu"`,
		`[]`:                                   "cannot unmarshal",
	} {
		write(text)
		_, err := maassim.LoadConfig(file, maassim.Config{})
		require.ErrorContains(t, err, why, text)
	}
	_, err = maassim.LoadConfig(filepath.Join(t.TempDir(), "nosuch"), maassim.Config{})
	require.ErrorContains(t, err, "read the configuration")
}
