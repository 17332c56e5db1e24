// Package logs makes the service's log: its level can be switched while the service runs, and each line says which call it
// belongs to.
package logs

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/capmaas/capmaas/proto/correlation"
)

// New makes a logger that writes JSON, or text, from the level up.
func New(w io.Writer, text bool, level slog.Leveler) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if text {
		return slog.New(&handler{slog.NewTextHandler(w, options)})
	}
	return slog.New(&handler{slog.NewJSONHandler(w, options)})
}

// handler adds to each line what its context tells of the call.
type handler struct{ slog.Handler }

// Handle writes a line.
func (h *handler) Handle(ctx context.Context, line slog.Record) error {
	if id := correlation.FromContext(ctx); id != "" {
		line.AddAttrs(slog.String("correlationID", id))
	}
	if span := trace.SpanContextFromContext(ctx); span.IsSampled() {
		line.AddAttrs(slog.String("traceID", span.TraceID().String()))
	}
	return h.Handler.Handle(ctx, line)
}

// WithAttrs gives a handler that adds the attributes to each line.
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &handler{h.Handler.WithAttrs(attrs)}
}

// WithGroup gives a handler that opens a group.
func (h *handler) WithGroup(name string) slog.Handler {
	return &handler{h.Handler.WithGroup(name)}
}

// LevelPath is where the level is read and switched.
const LevelPath = "/debug/flags/log-level"

// longestLevel bounds what is read of a request, in bytes.
const longestLevel = 16

// LevelServer serves the level: GET gives it, PUT with a body such as "debug" switches it. Nothing guards it: it must listen
// where nobody but the machine's own can reach it.
func LevelServer(level *slog.LevelVar, logger *slog.Logger) *http.Server {
	const slowest = 10 * time.Second
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+LevelPath, func(w http.ResponseWriter, _ *http.Request) { say(w, level) })
	mux.HandleFunc("PUT "+LevelPath, func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, longestLevel))
		if err != nil {
			http.Error(w, "want debug, info, warn or error", http.StatusBadRequest)
			return
		}
		before := level.Level()
		if err := level.UnmarshalText(text); err != nil {
			http.Error(w, "want debug, info, warn or error", http.StatusBadRequest)
			return
		}
		logger.WarnContext(r.Context(), "Switched the log level", "from", before, "to", level.Level())
		say(w, level)
	})
	return &http.Server{Handler: mux, ReadHeaderTimeout: slowest, ReadTimeout: slowest}
}

func say(w http.ResponseWriter, level *slog.LevelVar) {
	_, _ = io.WriteString(w, level.Level().String()+"\n")
}
