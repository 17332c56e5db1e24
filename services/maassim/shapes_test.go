package maassim_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/capmaas/capmaas/services/maassim"
)

func TestShapes_fields_by_version(t *testing.T) {
	t.Parallel()
	for version, added := range map[string][]string{
		"3.4": {}, "3.5": {"error_description"}, "3.6": {"error_description", "enable_kernel_crash_dump"},
		"3.7": {"error_description", "enable_kernel_crash_dump", "is_dpu"}, "3.8": {"error_description", "enable_kernel_crash_dump", "is_dpu"},
	} {
		cfg := maassim.DefaultConfig(1, 1, 0)
		cfg.Version = version
		m := start(t, cfg)
		o := m.get("machines/").list(t)[0]
		for _, name := range []string{"error_description", "enable_kernel_crash_dump", "is_dpu"} {
			_, there := o[name]
			assert.Equal(t, slices.Contains(added, name), there, version+" "+name)
		}
	}
}
