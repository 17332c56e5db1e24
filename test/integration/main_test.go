package integration_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/capmaas/capmaas/test/apiserver"
)

// api is shared by all tests; each works in a namespace, a MAAS, a service and a manager of its own.
var api *apiserver.Server

func TestMain(m *testing.M) {
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	var err error
	api, err = apiserver.Start(context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() {
		if err := api.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}()
	return m.Run()
}
