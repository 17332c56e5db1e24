package app_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"k8s.io/klog/v2/textlogger"

	"github.com/capmaas/capmaas/controllers/app"
)

func TestLogLevel_is_switched_while_the_manager_runs(t *testing.T) {
	t.Parallel()
	var lines strings.Builder
	logging := textlogger.NewConfig(textlogger.Output(&lines))
	log := textlogger.NewLogger(logging)
	handler := app.DiagnosticsOf(app.Options{DiagnosticsAddress: ":0", LogLevel: logging.Verbosity()}).ExtraHandlers["/debug/flags/v"]
	ask := func(method, body string) (int, string) {
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), method, "/debug/flags/v", strings.NewReader(body)))
		return answer.Code, strings.TrimSpace(answer.Body.String())
	}

	log.V(4).Info("Before")
	status, level := ask(http.MethodPut, "4")
	assert.Equal(t, []any{http.StatusOK, "4"}, []any{status, level})
	log.V(4).Info("During")
	for body, want := range map[string]int{"much": http.StatusBadRequest, strings.Repeat("1", 100): http.StatusBadRequest} {
		status, _ = ask(http.MethodPut, body)
		assert.Equal(t, want, status, body)
	}
	status, _ = ask(http.MethodPost, "2")
	assert.Equal(t, http.StatusMethodNotAllowed, status)
	status, level = ask(http.MethodGet, "")
	assert.Equal(t, []any{http.StatusOK, "4"}, []any{status, level}, "what makes no sense changes nothing")
	ask(http.MethodPut, "0")
	log.V(4).Info("After")
	assert.NotContains(t, lines.String(), "Before")
	assert.Contains(t, lines.String(), "During")
	assert.NotContains(t, lines.String(), "After")
}

func TestLogLevel_is_not_served_in_the_clear(t *testing.T) {
	t.Parallel()
	level := textlogger.NewConfig().Verbosity()
	open := app.DiagnosticsOf(app.Options{DiagnosticsAddress: ":0", InsecureDiagnostics: true, LogLevel: level})
	assert.Empty(t, open.ExtraHandlers)
	assert.Empty(t, app.DiagnosticsOf(app.Options{MetricsAddress: ":0", LogLevel: level}).ExtraHandlers)
}
