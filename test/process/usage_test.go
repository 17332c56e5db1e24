//go:build linux

package process_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/test/process"
)

func TestCPU_and_Peak_are_what_the_kernel_counts(t *testing.T) {
	t.Parallel()
	p := start(t, process.Spec{}, busy)

	err := process.Await(t.Context(), "time on a processor", patience, p.Exited, func(context.Context) error {
		used, err := p.CPU()
		if err == nil && used < 100*time.Millisecond {
			err = errors.New("too little")
		}
		return err
	})
	require.NoError(t, err)

	peak, err := p.Peak()
	require.NoError(t, err)
	assert.Greater(t, peak, int64(1<<20))
}
