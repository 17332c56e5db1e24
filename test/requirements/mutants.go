package requirements

import (
	"bytes"
	"cmp"
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
	list, err := git(ctx, root, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	if err != nil {
		return nil, err
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(list, "\x00"), "\x00") {
		if err := copyFile(filepath.Join(root, name), filepath.Join(dir, name)); err != nil {
			return nil, err
		}
	}
	// git apply leaves out, without a word, what lies outside of the repository that it believes to be in.
	if _, err := git(ctx, dir, "init", "--quiet"); err != nil {
		return nil, err
	}
	return &Scratch{dir: dir}, nil
}

// Try applies a mutant, runs the tests package after package until one turns red, and takes it back. It gives the tests
// that turned red; an error means that the mutant does not apply, does not compile, or that nothing turned red
// (ErrSurvived). The tests' messages go to out.
func (s *Scratch) Try(ctx context.Context, mutant Mutant, tests []Test, prefix string, out io.Writer) (red []Test, err error) {
	if len(tests) == 0 {
		return nil, ErrNoTest
	}
	patched, err := git(ctx, s.dir, "apply", "--numstat", mutant.Path)
	if err != nil {
		return nil, err
	}
	if _, err := git(ctx, s.dir, "apply", mutant.Path); err != nil {
		return nil, err
	}
	defer func() {
		_, undone := git(context.WithoutCancel(ctx), s.dir, "apply", "--reverse", mutant.Path)
		err = errors.Join(err, undone)
	}()
	for _, dir := range nearestFirst(tests, patched) {
		if red, err := s.run(ctx, dir, tests, prefix, out); err != nil || len(red) > 0 {
			return red, err
		}
	}
	return nil, ErrSurvived
}

// errNoResult means that a package gave no result of a test and was not content.
var errNoResult = errors.New("it does not compile, or its tests do not run")

// run runs those tests that are in one package and gives the ones that turned red.
func (s *Scratch) run(ctx context.Context, dir string, tests []Test, prefix string, out io.Writer) ([]Test, error) {
	var names []string
	for _, test := range tests {
		if test.Dir == dir {
			names = append(names, test.Name)
		}
	}
	// The race detector and vet would find what is wrong besides, at three times the price.
	cmd := exec.CommandContext(ctx, "go", "test", "-json", "-vet=off", "-failfast", "-run", "^("+strings.Join(names, "|")+")$", "./"+dir)
	cmd.Dir = s.dir
	printed, exit := cmd.Output() // a red test is what is hoped for, and its exit code says no more than the results
	var said bytes.Buffer
	results, err := ReadResults(bytes.NewReader(printed), prefix, io.MultiWriter(out, &said))
	if err != nil {
		return nil, err
	}
	var red []Test
	for test, result := range results {
		if result == "fail" && slices.Contains(tests, test) {
			red = append(red, test)
		}
	}
	if exit != nil && len(red) == 0 {
		return nil, fmt.Errorf("%s: %w:\n%s", dir, errNoResult, said.String())
	}
	return red, nil
}

// nearestFirst gives the directories of tests, those of what is patched first, and those of the whole stack, which take
// longest, last.
func nearestFirst(tests []Test, patched string) []string {
	dirs := map[string]bool{}
	for _, test := range tests {
		dirs[test.Dir] = true
	}
	distance := func(dir string) int {
		switch {
		case strings.Contains(patched, "\t"+dir+"/"):
			return 0
		case strings.HasPrefix(dir, "test/"):
			return 2
		default:
			return 1
		}
	}
	return slices.SortedFunc(maps.Keys(dirs), func(a, b string) int {
		return cmp.Or(cmp.Compare(distance(a), distance(b)), cmp.Compare(a, b))
	})
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

// git runs it and gives what it printed; an error has what it complained of.
func git(ctx context.Context, dir string, args ...string) (string, error) {
	var printed, complaints bytes.Buffer
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &printed, &complaints
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("git %s: %w\n%s%s", args[0], err, complaints.String(), printed.String())
	}
	return printed.String(), nil
}
