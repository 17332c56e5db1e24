package reference

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

const (
	// reasonSource declares the reasons and says what they mean; adviceDir holds what the operator's command says to do.
	reasonSource = "proto/lxdprovisioner/v1/reason.proto"
	adviceDir    = "cmd/maaslxd/internal/advice"
)

// reasonsHead is what stands before the tables of reasons.
const reasonsHead = `# Reasons

<!-- Written by make manifests from ` + reasonSource + ` and ` + adviceDir + `. Do not edit. -->

The words that the service gives with an error, in alphabetical order, and what to do; the command maaslxd says the same. [errors.md](../errors.md) has what a caller may conclude from each kind.

## Of errors

| reason | kind | means | what to do |
|---|---|---|---|
`

// rejectionsHead is what stands before the table of rejections.
const rejectionsHead = `
## Of hosts that can't take a VM

In the details of an error of SelectHost or DistributeAcrossZones, in the answer of SelectHost, and in ListHosts where a host can take no VM at all.

| reason | means | what to do |
|---|---|---|
`

// The shape of the values in the .proto file, and the kind at the beginning of a comment.
var (
	enumValue   = regexp.MustCompile(`^\s*([A-Z][A-Z0-9_]*) = (\d+);`)
	commentLine = regexp.MustCompile(`^\s*// ?(.*)$`)
	kindOfError = regexp.MustCompile(`^Kind (\w+): (.*)$`)
)

// The prefixes of the two enums.
const (
	errorPrefix     = "REASON_"
	rejectionPrefix = "REJECTION_REASON_"
)

// Reasons writes the page of reasons from what stands in the repository at root.
func Reasons(root string) ([]byte, error) {
	meanings, err := enumComments(filepath.Join(root, reasonSource))
	if err != nil {
		return nil, err
	}
	advice, err := adviceIn(filepath.Join(root, adviceDir))
	if err != nil {
		return nil, err
	}
	p := &page{}
	p.WriteString(reasonsHead)
	for _, name := range sortedKeys(meanings) {
		if word, ours := strings.CutPrefix(name, errorPrefix); ours {
			of := kindOfError.FindStringSubmatch(meanings[name])
			if of == nil || advice[name] == "" {
				return nil, fmt.Errorf("%s: its comment names no kind, or %s says nothing about it", name, adviceDir)
			}
			p.printf("| `%s` | %s | %s | %s |\n", word, of[1], cell(sentence(of[2])), cell(sentence(advice[name])))
		}
	}
	p.WriteString(rejectionsHead)
	for _, name := range sortedKeys(meanings) {
		if word, ours := strings.CutPrefix(name, rejectionPrefix); ours {
			if advice[name] == "" {
				return nil, fmt.Errorf("%s: %s says nothing about it", name, adviceDir)
			}
			p.printf("| `%s` | %s | %s |\n", word, cell(meanings[name]), cell(sentence(advice[name])))
		}
	}
	return p.Bytes(), nil
}

// enumComments gives the comment over each value of the enums of a .proto file, but for those of number 0, which mean nothing.
func enumComments(path string) (map[string]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the reasons: %w", err)
	}
	all, comment := map[string]string{}, ""
	for one := range strings.Lines(string(text)) {
		if match := commentLine.FindStringSubmatch(strings.TrimRight(one, "\n")); match != nil {
			comment += " " + match[1]
			continue
		}
		if match := enumValue.FindStringSubmatch(one); match != nil && match[2] != "0" {
			all[match[1]] = line(comment)
		}
		comment = ""
	}
	return all, nil
}

// adviceIn reads the maps from a value of an enum to a text that the Go files of a directory declare, by the value's name.
func adviceIn(dir string) (map[string]string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, fmt.Errorf("look for the advice: %w", err)
	}
	all := map[string]string{}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, fmt.Errorf("read the advice: %w", err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if entry, ok := n.(*ast.KeyValueExpr); ok {
				noteAdvice(all, entry)
			}
			return true
		})
	}
	return all, nil
}

// noteAdvice notes an entry whose key is a value of an enum, which generated Go calls Enum_VALUE.
func noteAdvice(all map[string]string, entry *ast.KeyValueExpr) {
	key, isSelector := entry.Key.(*ast.SelectorExpr)
	text, isLiteral := entry.Value.(*ast.BasicLit)
	if !isSelector || !isLiteral {
		return
	}
	if _, value, found := strings.Cut(key.Sel.Name, "_"); found {
		if words, err := strconv.Unquote(text.Value); err == nil {
			all[value] = words
		}
	}
}
