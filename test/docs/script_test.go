package docs_test

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/syntax"
)

// command is a call of a program in a block.
type command struct {
	// program is the word that names it; where that is not written out it is the text of the word.
	program string
	// args are its arguments; what a variable or another command would give is the word "value".
	args []string
}

// commands are the calls of a block, with those in loops, pipes and substitutions.
func (b block) commands() ([]command, error) {
	file, err := syntax.NewParser(syntax.Variant(syntax.LangPOSIX)).Parse(strings.NewReader(b.text), b.page)
	if err != nil {
		return nil, fmt.Errorf("read the block at line %d: %w", b.line, err)
	}
	var all []command
	var errs []error
	syntax.Walk(file, func(node syntax.Node) bool {
		call, ok := node.(*syntax.CallExpr)
		if !ok || len(call.Args) == 0 {
			return true
		}
		c, err := read(call)
		all, errs = append(all, c), append(errs, err)
		return true
	})
	return all, errors.Join(errs...)
}

func read(call *syntax.CallExpr) (command, error) {
	const anything = "value"
	config := &expand.Config{
		Env:      expand.FuncEnviron(func(string) string { return anything }),
		CmdSubst: func(w io.Writer, _ *syntax.CmdSubst) error { _, err := io.WriteString(w, anything); return err },
	}
	args, err := expand.Fields(config, call.Args[1:]...)
	if err != nil {
		return command{}, fmt.Errorf("expand the arguments: %w", err)
	}
	program := call.Args[0].Lit()
	if program == "" {
		var text strings.Builder
		if err := syntax.NewPrinter().Print(&text, call.Args[0]); err != nil {
			return command{}, fmt.Errorf("print the program: %w", err)
		}
		program = text.String()
	}
	return command{program: program, args: args}, nil
}
