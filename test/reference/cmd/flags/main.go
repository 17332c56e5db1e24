// The command flags prints docs/reference/flags.md.
package main

import (
	"fmt"
	"os"

	"github.com/capmaas/capmaas/test/reference"
)

func main() {
	if _, err := os.Stdout.Write(reference.Flags()); err != nil {
		fmt.Fprintln(os.Stderr, "flags:", err)
		os.Exit(1)
	}
}
