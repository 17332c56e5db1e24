package requirements

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Mutant is a patch that takes out what fulfils a number. Its file is called after the number: R4.4.patch, or
// R4.4-something.patch for a second one.
type Mutant struct {
	Number Number
	Path   string
}

var (
	// ErrNoTest means that no test names the number of a mutant.
	ErrNoTest = errors.New("no test names the number")
	// ErrSurvived means that every test that names the number passes without what fulfils it.
	ErrSurvived = errors.New("no test turned red")
)

// Mutants lists the patches in a directory.
func Mutants(dir string) ([]Mutant, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.patch"))
	if err != nil {
		return nil, fmt.Errorf("list the mutants: %w", err)
	}
	all := make([]Mutant, 0, len(paths))
	for _, path := range paths {
		if path, err = filepath.Abs(path); err != nil {
			return nil, fmt.Errorf("list the mutants: %w", err)
		}
		number, _, _ := strings.Cut(strings.TrimSuffix(filepath.Base(path), ".patch"), "-")
		all = append(all, Mutant{Number: Number(number), Path: path})
	}
	return all, nil
}

// Scratch is a copy of the repository in which mutants are tried, one after the other.
type Scratch struct{ dir string }

// Copy copies the files of the repository at root, those that git does not know yet too, into an empty directory.
func Copy(ctx context.Context, root, dir string) (*Scratch, error) {
	list, err := output(ctx, root, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	if err != nil {
		return nil, err
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(list, "\x00"), "\x00") {
		if err := copyFile(filepath.Join(root, name), filepath.Join(dir, name)); err != nil {
			return nil, err
		}
	}
	// git apply leaves out, without a word, what lies outside of the repository that it believes to be in.
	if _, err := output(ctx, dir, "git", "init", "--quiet"); err != nil {
		return nil, err
	}
	return &Scratch{dir: dir}, nil
}

// Try applies a mutant, runs the tests, and takes it back. It gives the tests that turned red; an error means that the
// mutant does not apply, does not compile, or that nothing turned red (ErrSurvived). The tests' messages go to out.
func (s *Scratch) Try(ctx context.Context, mutant Mutant, tests []Test, prefix string, out io.Writer) (red []Test, err error) {
	if len(tests) == 0 {
		return nil, ErrNoTest
	}
	if _, err := output(ctx, s.dir, "git", "apply", mutant.Path); err != nil {
		return nil, err
	}
	defer func() {
		_, undone := output(context.WithoutCancel(ctx), s.dir, "git", "apply", "--reverse", mutant.Path)
		err = errors.Join(err, undone)
	}()
	packages, names := packagesOf(tests), namesOf(tests)
	if _, err := output(ctx, s.dir, "go", append([]string{"test", "-run", "^$"}, packages...)...); err != nil {
		return nil, fmt.Errorf("it does not compile: %w", err)
	}
	run := exec.CommandContext(ctx, "go", append([]string{"test", "-json", "-failfast", "-run", names}, packages...)...)
	run.Dir = s.dir
	printed, _ := run.Output() // a red test is what is hoped for, and its exit code says no more than the results
	results, err := ReadResults(bytes.NewReader(printed), prefix, out)
	if err != nil {
		return nil, err
	}
	for test, result := range results {
		if result == "fail" && slices.Contains(tests, test) {
			red = append(red, test)
		}
	}
	if len(red) == 0 {
		return nil, ErrSurvived
	}
	return red, nil
}

func packagesOf(tests []Test) []string {
	dirs := map[string]bool{}
	for _, test := range tests {
		dirs["./"+test.Dir] = true
	}
	return slices.Sorted(maps.Keys(dirs))
}

func namesOf(tests []Test) string {
	names := make([]string, 0, len(tests))
	for _, test := range tests {
		names = append(names, test.Name)
	}
	return "^(" + strings.Join(names, "|") + ")$"
}

func copyFile(from, to string) error {
	info, err := os.Stat(from)
	if errors.Is(err, os.ErrNotExist) {
		return nil // git still lists a file that was removed
	}
	if err != nil {
		return fmt.Errorf("copy %s: %w", from, err)
	}
	content, err := os.ReadFile(from)
	if err != nil {
		return fmt.Errorf("copy %s: %w", from, err)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o750); err != nil {
		return fmt.Errorf("copy %s: %w", from, err)
	}
	if err := os.WriteFile(to, content, info.Mode().Perm()); err != nil {
		return fmt.Errorf("copy %s: %w", from, err)
	}
	return nil
}

// output runs a command and gives what it printed; an error has what it complained of.
func output(ctx context.Context, dir, name string, args ...string) (string, error) {
	var printed, complaints bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &printed, &complaints
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s%s", name, args[0], err, complaints.String(), printed.String())
	}
	return printed.String(), nil
}
