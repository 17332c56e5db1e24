package known_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/capmaas/capmaas/services/maassim/internal/known"
)

func TestList_names_what_there_is_and_counts_the_rest(t *testing.T) {
	t.Parallel()
	var many []string
	for n := range 23 {
		many = append(many, fmt.Sprint(n))
	}
	assert.Equal(t, "none", known.List[string](nil))
	assert.Equal(t, "0, 1", known.List(many[:2]))
	assert.Equal(t, "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19 and 3 more", known.List(many))
}
