package app

import (
	"flag"
	"io"
	"net/http"

	ctrl "sigs.k8s.io/controller-runtime"
)

// logLevelPath is where Kubernetes' own components, and Cluster API's managers, let their log level be switched.
const logLevelPath = "/debug/flags/v"

// longestLevel bounds what is read of a request, in bytes.
const longestLevel = 16

// logLevel serves the log level: GET gives it, PUT with a number as its body switches it.
func logLevel(level flag.Value) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodGet:
		case http.MethodPut:
			text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, longestLevel))
			if err == nil {
				err = level.Set(string(text))
			}
			if err != nil {
				http.Error(w, "want a number from 0 up", http.StatusBadRequest)
				return
			}
			ctrl.Log.WithName("diagnostics").Info("Switched the log level", "to", level.String())
		default:
			w.Header().Set("Allow", "GET, PUT")
			http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
			return
		}
		_, _ = io.WriteString(w, level.String()+"\n")
	})
}
