package observability_test

import (
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestService_switches_its_log_level_while_it_runs(t *testing.T) {
	w := newWorld(t)
	var address string
	eventually(t, "the service says where", func(c *assert.CollectT) {
		found := regexp.MustCompile(`"debug":"([^"]+)"`).FindStringSubmatch(w.logs.String())
		if assert.Len(c, found, 2) {
			address = found[1]
		}
	})
	ask := func(method, body string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), method, "http://"+address+"/debug/flags/log-level", strings.NewReader(body))
		require.NoError(t, err)
		answer, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer func() { assert.NoError(t, answer.Body.Close()) }()
		text, err := io.ReadAll(answer.Body)
		require.NoError(t, err)
		return answer.StatusCode, strings.TrimSpace(string(text))
	}
	debug := func() int { return len(w.logs.lines(`"level":"DEBUG"`)) }
	eventually(t, "debug lines come", func(c *assert.CollectT) { assert.Positive(c, debug()) })

	status, level := ask(http.MethodPut, "error")
	assert.Equal(t, []any{http.StatusOK, "ERROR"}, []any{status, level})
	before, served := debug(), len(w.log())
	eventually(t, "MAAS is asked on", func(c *assert.CollectT) { assert.Greater(c, len(w.log()), served+5) })
	assert.LessOrEqual(t, debug(), before+1, "a line may have been on its way")

	status, _ = ask(http.MethodPut, "loud")
	assert.Equal(t, http.StatusBadRequest, status)
	_, level = ask(http.MethodGet, "")
	assert.Equal(t, "ERROR", level, "what makes no sense changes nothing")

	_, level = ask(http.MethodPut, "debug")
	assert.Equal(t, "DEBUG", level)
	eventually(t, "debug lines come again", func(c *assert.CollectT) { assert.Greater(c, debug(), before+1) })
}
