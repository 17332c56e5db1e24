// The command fields prints docs/reference/fields.md. It runs anywhere in the repository whose top is its argument.
package main

import (
	"fmt"
	"os"

	"github.com/capmaas/capmaas/test/reference"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: fields TOP-OF-THE-REPOSITORY")
		os.Exit(2)
	}
	text, err := reference.Fields(os.Args[1])
	if err == nil {
		_, err = os.Stdout.Write(text)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "fields:", err)
		os.Exit(1)
	}
}
