package tracing_test

import (
	"log/slog"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/tracing"
)

func TestStart_traces_only_where_the_environment_asks_for_it(t *testing.T) {
	t.Parallel()
	const endpoint = "http://127.0.0.1:1"
	for name, tc := range map[string]struct {
		env     map[string]string
		enabled bool
		err     string
	}{
		"nothing_is_set":              {},
		"an_endpoint":                 {env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}, enabled: true},
		"an_endpoint_for_traces":      {env: map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": endpoint}, enabled: true},
		"it_is_disabled":              {env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_SDK_DISABLED": "true"}},
		"no_exporter":                 {env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_TRACES_EXPORTER": "none"}},
		"the_supported_exporter":      {env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_TRACES_EXPORTER": "otlp"}, enabled: true},
		"another_exporter":            {env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_TRACES_EXPORTER": "zipkin"}, err: "OTEL_TRACES_EXPORTER"},
		"another_protocol":            {env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, err: "OTEL_EXPORTER_OTLP_PROTOCOL"},
		"an_exporter_without_a_place": {env: map[string]string{"OTEL_TRACES_EXPORTER": "otlp"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			started, err := tracing.Start(t.Context(), tracing.Config{
				Version: "v1", Logger: slog.New(slog.DiscardHandler), Getenv: func(name string) string { return tc.env[name] },
			})
			if tc.err != "" {
				require.ErrorContains(t, err, tc.err)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, tc.enabled, started.Enabled())
			if !tc.enabled {
				assert.Empty(t, started.ServerOptions(), "calls cost nothing more")
				_, span := started.Tracer().Start(t.Context(), "a span")
				assert.False(t, span.IsRecording())
			}
			require.NoError(t, started.Stop(t.Context()))
		})
	}
}
