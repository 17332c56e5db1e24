package apiserver

import (
	"context"
	"fmt"
	"os"
)

// RunTests starts a server, hands it to a package's tests, runs them (m is a *testing.M) and stops it. It gives the exit code.
func RunTests(m interface{ Run() int }, use func(*Server)) int {
	server, err := Start(context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() {
		if err := server.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}()
	use(server)
	return m.Run()
}
