package observability_test

import (
	"fmt"
	"log/slog"
	"os"
	"testing"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/capmaas/capmaas/test/apiserver"
)

var (
	// managerLogs is what the manager logs: controller-runtime has one logger for a process.
	managerLogs = &book{}
	// collected are the spans of the service and the manager.
	collected = &collector{}
	api       *apiserver.Server
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	ctrl.SetLogger(logr.FromSlogHandler(slog.NewJSONHandler(managerLogs, &slog.HandlerOptions{Level: slog.Level(-4)})))
	stop, err := collected.start()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer stop()
	return apiserver.RunTests(m, func(started *apiserver.Server) { api = started })
}
