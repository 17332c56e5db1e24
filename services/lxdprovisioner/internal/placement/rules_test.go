package placement_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/placement"
)

func TestRules_R2_4_stand_in_the_order_of_their_stages(t *testing.T) {
	t.Parallel()
	assert.Empty(t, placement.FaultyRules())
}
