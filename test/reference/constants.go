package reference

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
)

// Constant is a constant of Go source whose value is a string.
type Constant struct {
	// Name is its identifier, Value what it stands for.
	Name, Value string
	// Doc is its comment in one line.
	Doc string
}

// Block is a group of constants that were declared together.
type Block struct {
	// Doc is the comment over the group, in one line; empty for a constant that stands alone.
	Doc string
	// Constants are those with a string as value, in the order of the source.
	Constants []Constant
}

// Blocks reads the string constants that a Go file declares at its top.
func Blocks(path string) ([]Block, error) {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
	if err != nil {
		return nil, fmt.Errorf("read constants: %w", err)
	}
	var all []Block
	for _, d := range file.Decls {
		decl, ok := d.(*ast.GenDecl)
		if !ok || decl.Tok != token.CONST {
			continue
		}
		block := Block{Doc: line(decl.Doc.Text())}
		for _, s := range decl.Specs {
			block.Constants = append(block.Constants, constantsOf(s.(*ast.ValueSpec))...) //nolint:forcetypeassert // a const declaration has no other specs
		}
		if !decl.Lparen.IsValid() && len(block.Constants) == 1 {
			block.Constants[0].Doc, block.Doc = block.Doc, ""
		}
		if len(block.Constants) > 0 {
			all = append(all, block)
		}
	}
	return all, nil
}

func constantsOf(spec *ast.ValueSpec) []Constant {
	var all []Constant
	for i, value := range spec.Values {
		literal, ok := value.(*ast.BasicLit)
		if !ok || literal.Kind != token.STRING {
			continue
		}
		text, err := strconv.Unquote(literal.Value)
		if err != nil {
			continue // the compiler has taken it, so this cannot be
		}
		doc := cmp.Or(spec.Doc.Text(), spec.Comment.Text())
		all = append(all, Constant{Name: spec.Names[i].Name, Value: text, Doc: line(doc)})
	}
	return all
}

// line makes one line of a text.
func line(text string) string { return strings.Join(strings.Fields(text), " ") }
