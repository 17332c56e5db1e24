// The command requirements prints for each number of docs/requirements.md and docs/protocol-coverage.md the tests that
// name it and how they ended. It runs at the root of the repository; its arguments are packages.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"

	"github.com/capmaas/capmaas/test/requirements"
)

const (
	prefix           = "github.com/capmaas/capmaas/"
	requirementsPage = "docs/requirements.md"
	rulesPage        = "docs/protocol-coverage.md"
	mutantsDir       = "test/mutants"
)

var (
	errGaps    = errors.New("numbers without a passing test")
	errMutants = errors.New("mutants that no test notices, or that do not apply")
)

func main() {
	mutants := flag.Bool("mutants", false, "Take out what fulfils a number, one patch of "+mutantsDir+" after the other, and demand a red test")
	only := flag.String("only", "", "Try the mutants of this `number` alone, and print no table")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Stdout, *mutants, *only, flag.Args())
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "requirements:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, mutants bool, only string, packages []string) error {
	tests, err := requirements.Scan(".")
	if err != nil {
		return err
	}
	var failures []error
	if only == "" {
		failures = append(failures, printTable(ctx, out, tests, packages))
	}
	if mutants {
		failures = append(failures, tryMutants(ctx, out, tests, requirements.Number(only)))
	}
	return errors.Join(failures...)
}

func printTable(ctx context.Context, out io.Writer, tests map[requirements.Test]map[requirements.Number]bool, packages []string) error {
	listed, err := requirements.Listed(requirementsPage, rulesPage)
	if err != nil {
		return err
	}
	results, err := runTests(ctx, out, packages)
	if err != nil {
		return err
	}
	if gaps := requirements.Print(out, requirements.Rows(listed, tests, results)); gaps > 0 {
		return fmt.Errorf("%d %w", gaps, errGaps)
	}
	return nil
}

// runTests runs the packages' tests. How they ended is in the results, so the exit code says nothing more.
func runTests(ctx context.Context, out io.Writer, packages []string) (requirements.Results, error) {
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-race", "-json"}, packages...)...)
	cmd.Stderr = os.Stderr
	printed, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("run the tests: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("run the tests: %w", err)
	}
	results, err := requirements.ReadResults(printed, prefix, out)
	if exit := (*exec.ExitError)(nil); err == nil {
		if err = cmd.Wait(); errors.As(err, &exit) {
			err = nil
		}
	}
	return results, err
}

// tryMutants tries those of one number, or all of them.
func tryMutants(ctx context.Context, out io.Writer, tests map[requirements.Test]map[requirements.Number]bool, only requirements.Number) error {
	mutants, err := requirements.Mutants(mutantsDir)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "mutants-")
	if err != nil {
		return fmt.Errorf("make a scratch directory: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	scratch, err := requirements.Copy(ctx, ".", dir)
	if err != nil {
		return err
	}
	survived, tried := 0, 0
	for _, mutant := range mutants {
		if only != "" && mutant.Number != only {
			continue
		}
		tried++
		red, err := scratch.Try(ctx, mutant, requirements.Naming(tests, mutant.Number), prefix, io.Discard)
		if err != nil {
			survived++
			fmt.Fprintf(out, "mutant of %-5s NOT NOTICED: %v\n", mutant.Number, err)
			continue
		}
		fmt.Fprintf(out, "mutant of %-5s noticed by %s\n", mutant.Number, strings.Join(namesOf(red), ", "))
	}
	fmt.Fprintf(out, "%d of %d mutants are noticed\n", tried-survived, tried)
	if survived > 0 || tried == 0 {
		return errMutants
	}
	return nil
}

func namesOf(tests []requirements.Test) []string {
	names := make([]string, 0, len(tests))
	for _, test := range tests {
		names = append(names, test.String())
	}
	return names
}
