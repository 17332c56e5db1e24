// Package requirements tells which tests name which requirement, how they ended, and whether they would notice if what
// fulfils it were taken out.
package requirements

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"strings"
)

// Test is one top-level test function.
type Test struct {
	// Dir is the directory of its package below the root, with slashes.
	Dir string
	// Name is the name of the function.
	Name string
}

func (t Test) String() string { return t.Dir + "." + t.Name }

// Number is what a test names: R4.4, S1, P10 or the rule X3.2.
type Number string

// numberName matches a number in a name (R4_4) or in a sentence (R4.4). A letter before it makes it part of a word.
var numberName = regexp.MustCompile(`(?:^|[^A-Za-z0-9])([RX]\d+[._]\d+|[SP]\d+)(?:$|[^0-9])`)

// own is the directory of this package, whose tests speak of numbers without guarding what they stand for.
const own = "test/requirements"

// Scan gives the numbers that each test below a directory names: in its own name, or in a string in it, which is the name
// of a subtest or the sentence of an assertion.
func Scan(root string) (map[Test]map[Number]bool, error) {
	all := map[Test]map[Number]bool{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() {
			if path != root && (strings.HasPrefix(name, ".") || name == "bin" || name == "testdata" || path == filepath.Join(root, own)) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, "_test.go") {
			return nil
		}
		dir, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return fmt.Errorf("place %s below %s: %w", path, root, err)
		}
		tests, err := scanFile(path, filepath.ToSlash(dir))
		maps.Copy(all, tests)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("look for tests in %s: %w", root, err)
	}
	return all, nil
}

func scanFile(path, dir string) (map[Test]map[Number]bool, error) {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		return nil, fmt.Errorf("parse %s: %w", path, err)
	}
	tests := map[Test]map[Number]bool{}
	for _, decl := range file.Decls {
		f, ok := decl.(*ast.FuncDecl)
		if !ok || f.Recv != nil || !strings.HasPrefix(f.Name.Name, "Test") || f.Name.Name == "TestMain" {
			continue
		}
		named := map[Number]bool{}
		note(named, f.Name.Name)
		ast.Inspect(f, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				note(named, strings.Trim(lit.Value, "\"`"))
			}
			return true
		})
		tests[Test{Dir: dir, Name: f.Name.Name}] = named
	}
	return tests, nil
}

// note adds the numbers in some words. Two numbers may share what stands between them, so the search goes on behind the
// number itself.
func note(named map[Number]bool, words string) {
	for {
		at := numberName.FindStringSubmatchIndex(words)
		if at == nil {
			return
		}
		named[Number(strings.ReplaceAll(words[at[2]:at[3]], "_", "."))] = true
		words = words[at[3]:]
	}
}
