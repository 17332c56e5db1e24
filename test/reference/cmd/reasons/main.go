// The command reasons prints docs/reference/reasons.md. It runs anywhere in the repository whose top is its argument.
package main

import (
	"fmt"
	"os"

	"github.com/capmaas/capmaas/test/reference"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: reasons TOP-OF-THE-REPOSITORY")
		os.Exit(2)
	}
	text, err := reference.Reasons(os.Args[1])
	if err == nil {
		_, err = os.Stdout.Write(text)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "reasons:", err)
		os.Exit(1)
	}
}
