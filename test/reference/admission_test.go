package reference_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const admissionPage = "docs/reference/admission.md"

// The fields of which the webhooks say something of their own: those that change nothing or lose, and those that may not change.
var (
	warnedOf = regexp.MustCompile(`\{\s*"([a-z][A-Za-z.]+)",`)
	changing = regexp.MustCompile(`\{\[\]string\{([^}]+)\}`)
)

func TestAdmission_page_names_every_field_that_is_warned_of_or_may_not_change(t *testing.T) {
	t.Parallel()
	text := readPage(t, admissionPage)
	unheard := warnedOf.FindAllStringSubmatch(readPage(t, "controllers/internal/webhooks/unheard.go"), -1)
	require.Greater(t, len(unheard), 15)
	for _, field := range unheard {
		assert.Regexp(t, "`"+regexp.QuoteMeta(field[1])+"[`:]", text)
	}
	parts := changing.FindAllStringSubmatch(readPage(t, "controllers/internal/webhooks/changes.go"), -1)
	require.Greater(t, len(parts), 8)
	for _, part := range parts {
		path := strings.NewReplacer(`"`, "", ", ", ".").Replace(part[1])
		assert.Contains(t, text, "`"+path+"`")
	}
}
