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
	scratchDir       = "bin/mutants"
)

var (
	errGaps    = errors.New("numbers without a passing test")
	errMutants = errors.New("mutants that no test notices, or that do not apply")
)

func main() {
	mutants := flag.Bool("mutants", false, "Take out what fulfils a number, one patch of "+mutantsDir+" after the other, and demand a red test")
	results := flag.String("results", "", "Judge what go test -json has printed into this `file`, and run no tests")
	only := flag.String("only", "", "Try the mutants of this `number` alone, and print no table")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Stdout, options{mutants: *mutants, only: requirements.Number(*only), results: *results, packages: flag.Args()})
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "requirements:", err)
		os.Exit(1)
	}
}

// options are what the flags say.
type options struct {
	mutants  bool
	only     requirements.Number
	results  string
	packages []string
}

func run(ctx context.Context, out io.Writer, o options) error {
	tests, err := requirements.Scan(".")
	if err != nil {
		return err
	}
	var failures []error
	if o.only == "" {
		failures = append(failures, printTable(ctx, out, tests, o))
	}
	if o.mutants {
		failures = append(failures, tryMutants(ctx, out, tests, o.only))
	}
	return errors.Join(failures...)
}

func printTable(ctx context.Context, out io.Writer, tests map[requirements.Test]map[requirements.Number]bool, o options) error {
	listed, err := requirements.Listed(requirementsPage, rulesPage)
	if err != nil {
		return err
	}
	results, err := resultsOf(ctx, out, o)
	if err != nil {
		return err
	}
	if gaps := requirements.Print(out, requirements.Rows(listed, tests, results)); gaps > 0 {
		return fmt.Errorf("%d %w", gaps, errGaps)
	}
	return nil
}

// resultsOf reads the results of a run that has ended, or runs the tests.
func resultsOf(ctx context.Context, out io.Writer, o options) (requirements.Results, error) {
	if o.results == "" {
		return runTests(ctx, out, o.packages)
	}
	file, err := os.Open(o.results)
	if err != nil {
		return nil, fmt.Errorf("read the tests' results: %w", err)
	}
	defer func() { _ = file.Close() }()
	return requirements.ReadResults(file, prefix, out)
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
	// The same place each time, so that what is not mutated need not be compiled again.
	defer func() { _ = os.RemoveAll(scratchDir) }()
	if err := os.RemoveAll(scratchDir); err != nil {
		return fmt.Errorf("empty the scratch directory: %w", err)
	}
	if err := os.MkdirAll(scratchDir, 0o750); err != nil {
		return fmt.Errorf("make the scratch directory: %w", err)
	}
	scratch, err := requirements.Copy(ctx, ".", scratchDir)
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
