package maaslxd_test

import (
	"os"
	"testing"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/capmaas/capmaas/test/apiserver"
)

// api is shared by all tests; each works in a namespace, a MAAS and a service of its own.
var api *apiserver.Server

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard())
	os.Exit(apiserver.RunTests(m, func(started *apiserver.Server) { api = started }))
}
