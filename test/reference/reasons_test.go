package reference_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
	"github.com/capmaas/capmaas/test/reference"
)

const reasonsPage = "docs/reference/reasons.md"

func TestReasons_page_is_what_the_contract_and_the_advice_say(t *testing.T) {
	t.Parallel()
	wanted, err := reference.Reasons(top(t))
	require.NoError(t, err)
	assert.Equal(t, string(wanted), readPage(t, reasonsPage), "run make manifests and commit %s", reasonsPage)
}

func TestReasons_page_has_every_reason_of_the_contract(t *testing.T) {
	t.Parallel()
	ofErrors, ofHosts, found := strings.Cut(readPage(t, reasonsPage), "\n## Of hosts")
	require.True(t, found)
	for part, enum := range map[string]struct {
		names  map[int32]string
		prefix string
	}{
		ofErrors: {lxdprovisionerv1.Reason_name, "REASON_"},
		ofHosts:  {lxdprovisionerv1.RejectionReason_name, "REJECTION_REASON_"},
	} {
		var wanted []string
		for number, name := range enum.names {
			if number != 0 {
				wanted = append(wanted, strings.TrimPrefix(name, enum.prefix))
			}
		}
		assert.ElementsMatch(t, wanted, cells(part))
	}
}
