package server_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/capmaas/capmaas/proto/errorinfo"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
)

// answersFaults demands that every method of the service answers a use case's fault as such.
func answersFaults(t *testing.T, service protoreflect.Name, except ...protoreflect.Name) {
	t.Helper()
	for _, m := range methods(t) {
		if m.Parent().Name() != service {
			continue
		}
		t.Run(string(m.Name()), func(t *testing.T) {
			t.Parallel()
			d := &desk{err: fault.New(fault.Unavailable, fault.ReasonMAASUnavailable, "MAAS does not answer")}
			_, err := call(t, dial(t, d), m, message(t, m.Input()))
			for _, name := range except {
				if m.Name() == name {
					require.NoError(t, err)
					return
				}
			}
			info, ours := errorinfo.From(err)
			require.True(t, ours, "%v", err)
			assert.Equal(t, errorinfo.Unavailable, info.Kind)
		})
	}
}
