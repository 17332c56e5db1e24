package integration_test

import (
	"log/slog"
	"os"
	"testing"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/capmaas/capmaas/test/apiserver"
)

// managerLogs is what all managers log: controller-runtime has one logger for a process.
var managerLogs = &logBuffer{}

// api is shared by all tests; each works in a namespace, a MAAS, a service and a manager of its own.
var api *apiserver.Server

func TestMain(m *testing.M) {
	// Talkative lines are kept too: the search for secrets is to see them. Beyond V(4) controller-runtime logs its
	// queue's items while it changes them.
	ctrl.SetLogger(logr.FromSlogHandler(slog.NewJSONHandler(managerLogs, &slog.HandlerOptions{Level: slog.Level(-4)})))
	os.Exit(apiserver.RunTests(m, func(started *apiserver.Server) { api = started }))
}
