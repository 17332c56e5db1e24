package faults_test

import (
	"os"
	"testing"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/capmaas/capmaas/test/apiserver"
)

// api is shared by all tests of the package.
var api *apiserver.Server

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard())
	klog.SetLogger(logr.Discard()) // client-go complains of every connection that is cut
	os.Exit(apiserver.RunTests(m, func(started *apiserver.Server) { api = started }))
}
