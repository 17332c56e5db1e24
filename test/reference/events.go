package reference

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
)

const (
	// eventMethod is the name of the functions by which the controllers record events: (object, type, reason, note, …).
	eventMethod = "event"
	// recorderMethod is what these functions alone call.
	recorderMethod = "Eventf"
)

// listOfReasons is the variable that lists the reasons of a condition which become events.
const listOfReasons = "troubled"

// Events gives the reasons of the events that Go files below a directory record, by name. constants has the values of
// constants of the API package. A reason that can't be read from the source is an error: nobody could document it.
func Events(dir string, constants map[string]string) ([]string, error) {
	found := map[string]bool{}
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		r := reader{constants: constants, found: found}
		ast.Inspect(file, r.look)
		if r.unread != nil {
			return fmt.Errorf("%s: the reason of this event is neither a word nor a constant given to %s", fset.Position(r.unread.Pos()), eventMethod)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look for events: %w", err)
	}
	return sortedKeys(found), nil
}

// reader collects the reasons of one file.
type reader struct {
	constants map[string]string
	found     map[string]bool
	unread    ast.Expr
}

func (r *reader) look(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.FuncDecl:
		return n.Name.Name != eventMethod
	case *ast.CallExpr:
		f, ok := n.Fun.(*ast.SelectorExpr)
		switch {
		case ok && f.Sel.Name == recorderMethod:
			r.unread = n
		case ok && f.Sel.Name == eventMethod && len(n.Args) >= 4:
			r.add(n.Args[2])
		}
	case *ast.ValueSpec:
		if len(n.Names) == 1 && n.Names[0].Name == listOfReasons && len(n.Values) == 1 {
			if list, ok := n.Values[0].(*ast.CompositeLit); ok {
				for _, one := range list.Elts {
					r.add(one)
				}
			}
		}
	}
	return true
}

func (r *reader) add(reason ast.Expr) {
	switch reason := reason.(type) {
	case *ast.BasicLit:
		if word, err := strconv.Unquote(reason.Value); err == nil {
			r.found[word] = true
			return
		}
	case *ast.SelectorExpr:
		if value, ok := r.constants[reason.Sel.Name]; ok {
			r.found[value] = true
			return
		}
		if reason.Sel.Name == "Reason" {
			return // that of a condition, which listOfReasons lists
		}
	}
	r.unread = reason
}
