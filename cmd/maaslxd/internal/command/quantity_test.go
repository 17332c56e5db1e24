package command_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/capmaas/capmaas/proto/provisionertest"
)

func TestSizes_are_read_with_their_units(t *testing.T) {
	address := serve(t, provisionertest.Config{})
	for given, want := range map[string]string{
		"32GiB": "32 GiB", "32gi": "32 GiB", "32Gi": "32 GiB", "2048": "2 GiB", "1.5 GiB": "1.5 GiB", "4294967296M": "", "8GB": "7.5 GiB", "0": "", "GiB": "", "-4GiB": "",
	} {
		got := caller{}.run(t, "plan", "--insecure", "--address", address, "--memory", given)
		if want == "" {
			assert.NotEqual(t, 0, got.status, given)
			continue
		}
		assert.Contains(t, got.out, "2 cores, "+want+", 60 GB", given)
	}
	assert.Contains(t, caller{}.run(t, "plan", "--insecure", "--address", address, "--disk", "40GB").out, "4 GiB, 40 GB")
	assert.Contains(t, caller{}.run(t, "plan", "--insecure", "--address", address, "--disk", "40").out, "4 GiB, 40 GB")
}
