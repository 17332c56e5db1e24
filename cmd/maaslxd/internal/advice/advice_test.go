package advice_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/capmaas/capmaas/cmd/maaslxd/internal/advice"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

func TestForReason_has_advice_for_every_reason_of_the_contract(t *testing.T) {
	t.Parallel()
	for number, name := range lxdprovisionerv1.Reason_name {
		if number != 0 {
			assert.NotEmpty(t, advice.ForReason(lxdprovisionerv1.Reason(number)), name)
		}
	}
	assert.Empty(t, advice.ForReason(lxdprovisionerv1.Reason(9999)), "of a newer service")
}

func TestForRejection_has_advice_for_every_reason_of_the_contract(t *testing.T) {
	t.Parallel()
	for number, name := range lxdprovisionerv1.RejectionReason_name {
		if number != 0 {
			assert.NotEmpty(t, advice.ForRejection(lxdprovisionerv1.RejectionReason(number)), name)
		}
	}
	assert.Equal(t, "BAD_TAG", advice.RejectionWord(lxdprovisionerv1.RejectionReason_REJECTION_REASON_BAD_TAG))
}
