// Package known words what a refusal says of the names that there are.
package known

import (
	"fmt"
	"strings"
)

// most is how many names a refusal lists.
const most = 20

// List lists names with commas between them, the first twenty when there are more.
func List[T ~string](names []T) string {
	if len(names) == 0 {
		return "none"
	}
	shown := make([]string, 0, most)
	for _, name := range names[:min(len(names), most)] {
		shown = append(shown, string(name))
	}
	list := strings.Join(shown, ", ")
	if left := len(names) - most; left > 0 {
		list += fmt.Sprintf(" and %d more", left)
	}
	return list
}
