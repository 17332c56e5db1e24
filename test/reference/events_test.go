package reference_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/test/reference"
)

func TestEvents_are_read_from_the_source(t *testing.T) {
	t.Parallel()
	constants := map[string]string{"HostLostReason": "HostLost"}
	for name, row := range map[string]struct {
		body string
		want []string
		err  string
	}{
		"a_word":                           {body: `func f() { r.event(s, normal, "Composed", "VM %s", name) }`, want: []string{"Composed"}},
		"a_constant":                       {body: `func f() { r.event(s, normal, infrav1.HostLostReason, "gone") }`, want: []string{"HostLost"}},
		"a_list_of_reasons_of_a_condition": {body: `var troubled = []string{infrav1.HostLostReason}`, want: []string{"HostLost"}},
		"a_reason_that_is_computed":        {body: `func f() { r.event(s, normal, reasonOf(s), "gone") }`, err: "neither a word nor a constant"},
		"an_unknown_constant":              {body: `func f() { r.event(s, normal, infrav1.OtherReason, "gone") }`, err: "neither a word nor a constant"},
		"an_event_past_the_function":       {body: `func f() { r.Recorder.Eventf(o, nil, normal, "Composed", "Composed", "VM") }`, err: "given to event"},
		"the_function_itself":              {body: `func (r *R) event(why string) { r.Recorder.Eventf(o, nil, normal, why, "", "") }`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, "x.go"), []byte("package x\n"+row.body+"\n"), 0o600))
			got, err := reference.Events(dir, constants)
			if row.err != "" {
				assert.ErrorContains(t, err, row.err)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, row.want, got)
		})
	}
}
