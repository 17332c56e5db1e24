package reference_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/proto/errorinfo"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

const (
	errorsPage   = "docs/errors.md"
	reasonSource = "proto/lxdprovisioner/v1/reason.proto"
)

var (
	// declared matches a reason and the kind that the comment over it names.
	declared = regexp.MustCompile(`// Kind (\w+):[^\n]*\n(?:\s*//[^\n]*\n)*\s*REASON_(\w+) = \d+;`)
	// inCapitals matches a reason as the page writes it.
	inCapitals = regexp.MustCompile("`([A-Z][A-Z0-9_]+)`")
)

func TestErrors_page_has_every_reason_beside_its_kind_and_no_other(t *testing.T) {
	t.Parallel()
	wanted := map[string][]string{}
	for _, match := range declared.FindAllStringSubmatch(readPage(t, reasonSource), -1) {
		wanted[match[1]] = append(wanted[match[1]], match[2])
	}
	var all []string
	for number := range lxdprovisionerv1.Reason_name {
		if number != 0 {
			all = append(all, errorinfo.Word(lxdprovisionerv1.Reason(number)))
		}
	}
	require.ElementsMatch(t, all, slices.Concat(values(wanted)...), "the comment of a reason begins with its kind")
	documented := map[string][]string{}
	for kind, row := range rows(t, "## Reasons") {
		for _, match := range inCapitals.FindAllStringSubmatch(row, -1) {
			documented[kind] = append(documented[kind], match[1])
		}
	}
	assert.ElementsMatch(t, keys(wanted), keys(documented))
	for kind, reasons := range wanted {
		assert.ElementsMatch(t, reasons, documented[kind], "kind %s", kind)
	}
}

func TestErrors_page_has_every_kind_and_no_other(t *testing.T) {
	t.Parallel()
	var wanted []string
	for _, kind := range errorinfo.Kinds() {
		wanted = append(wanted, string(kind))
	}
	assert.ElementsMatch(t, append(wanted, "(none)"), keys(rows(t, "# Errors")))
}

// rows gives the rows of the first table after a heading, without its first cell and by it.
func rows(t *testing.T, heading string) map[string]string {
	t.Helper()
	_, text, found := strings.Cut(readPage(t, errorsPage), heading)
	require.True(t, found, "%s has no heading %q", errorsPage, heading)
	all := map[string]string{}
	for line := range strings.Lines(text) {
		first, rest, isRow := strings.Cut(strings.TrimPrefix(line, "| "), " | ")
		switch {
		case strings.HasPrefix(line, "#"):
			return all
		case strings.HasPrefix(line, "| ") && isRow && first != "kind":
			all[first] = rest
		}
	}
	return all
}

func keys[V any](m map[string]V) []string {
	var all []string
	for k := range m {
		all = append(all, k)
	}
	return all
}

func values[V any](m map[string]V) []V {
	var all []V
	for _, v := range m {
		all = append(all, v)
	}
	return all
}
