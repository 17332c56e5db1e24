package region

import (
	"fmt"
	"math"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/capmaas/capmaas/services/maassim/internal/rest"
)

// storageWish is one disk of a storage constraint.
type storageWish struct {
	size int64 // bytes; -1 for a size that is no number
	text string
	tags []string
}

var storageGroup = regexp.MustCompile(`^(?:([a-zA-Z0-9]+):)?([0-9.]+)(?:\(([^)]+)\))?$`)

// parseStorage reads "label:size(tag,tag),…", sizes in GB of 10^9 bytes. The first group is the root disk; MAAS sorts the others by their
// number of tags, the most first.
func parseStorage(text string) ([]storageWish, error) {
	var wishes []storageWish
	for _, group := range splitGroups(text) {
		parts := storageGroup.FindStringSubmatch(group)
		if parts == nil {
			return nil, fmt.Errorf("Malformed storage constraint, \"%s\".", text) //nolint:staticcheck,revive // MAAS's words
		}
		wish := storageWish{size: -1, text: parts[2]}
		if gigabytes, err := strconv.ParseFloat(parts[2], 64); err == nil {
			wish.size = int64(math.Min(gigabytes*1e9, math.MaxInt64))
		}
		if parts[3] != "" {
			wish.tags = strings.Split(parts[3], ",")
		}
		wishes = append(wishes, wish)
	}
	slices.SortStableFunc(wishes[1:], func(a, b storageWish) int { return len(b.tags) - len(a.tags) })
	return wishes, nil
}

// checkSizes is where MAAS stumbles over a size such as 1.2.3, which its form lets pass.
func checkSizes(wishes []storageWish) error {
	for _, w := range wishes {
		if w.size < 0 {
			return rest.Text(http.StatusInternalServerError, "could not convert string to float: '%s'", w.text)
		}
	}
	return nil
}

// splitGroups splits at the commas outside parentheses.
func splitGroups(text string) []string {
	var groups []string
	depth, start := 0, 0
	for i, c := range text {
		switch {
		case c == '(':
			depth++
		case c == ')':
			depth--
		case c == ',' && depth == 0:
			groups = append(groups, text[start:i])
			start = i + 1
		}
	}
	return append(groups, text[start:])
}
