package campaign

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"

	"github.com/capmaas/capmaas/test/measured"
)

// Where in the repository the figures are kept, and the page that they are for.
const (
	MeasuredFile = "test/e2e/scale/testdata/measured.json"
	Page         = "docs/performance.md"
)

var section = measured.Section{Begins: "<!-- scale: written by `make e2e-scale` -->\n", Ends: "<!-- scale: end -->\n"}

// ReadMeasured gives what was measured last of every [Figures.Setup], the fewest clusters first.
func ReadMeasured(root string) ([]Figures, error) {
	return measured.ReadIfAny[[]Figures](filepath.Join(root, MeasuredFile))
}

// Write puts figures in the place of those with the same [Figures.Setup], and writes the page anew.
func Write(root string, figures Figures) error {
	all, err := ReadMeasured(root)
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(f Figures) bool { return f.Setup() == figures.Setup() })
	all = append(all, figures)
	slices.SortFunc(all, func(a, b Figures) int {
		return cmp.Or(cmp.Compare(a.Clusters, b.Clusters), cmp.Compare(b.Concurrency, a.Concurrency))
	})
	file := filepath.Join(root, MeasuredFile)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	if err := measured.Keep(file, all); err != nil {
		return err
	}
	return section.Write(filepath.Join(root, Page), Document(all))
}

// WriteKept does what Write does, with the figures that a run has kept in a file.
func WriteKept(root, file string) error {
	figures, err := measured.Read[Figures](file)
	if err != nil {
		return err
	}
	return Write(root, figures)
}
