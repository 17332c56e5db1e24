package placement_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/placement"
)

var rewrite = flag.Bool("rewrite", false, "write what the code answers into testdata; read the diff")

// TestScenarios plays the stories of testdata. The name of a file begins with the requirement that
// the story shows. scenario_parse_test.go says what the lines mean.
func TestScenarios(t *testing.T) {
	t.Parallel()
	for _, file := range scenarioFiles(t) {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			told, err := os.ReadFile(file)
			require.NoError(t, err)
			played := play(t, string(told))
			if *rewrite && played != string(told) {
				require.NoError(t, os.WriteFile(file, []byte(played), 0o600))
				require.Fail(t, "the story was rewritten: read the diff")
			}
			assert.Equal(t, string(told), played, "with -rewrite the test writes what the code answers, and fails")
		})
	}
}

// TestScenarios_cover_every_reason_and_class holds whoever adds a rule to a story that shows it.
func TestScenarios_cover_every_reason_class_constraint_and_term(t *testing.T) {
	t.Parallel()
	var all strings.Builder
	for _, file := range scenarioFiles(t) {
		told, err := os.ReadFile(file)
		require.NoError(t, err)
		all.Write(told)
	}
	for _, reason := range placement.Reasons() {
		assert.True(t, strings.Contains(all.String(), fmt.Sprintf(" %s: ", reason)), "no scenario rejects a host for %s", reason)
	}
	for _, class := range placement.Classes() {
		assert.True(t, strings.Contains(all.String(), fmt.Sprintf("\n%s: ", class)), "no scenario ends in %s", class)
	}
	for _, words := range []string{
		" policy=balanced", " policy=pack", " policy=spread", " apart=required", " zone=", " zones=", " pools=", " tags=", " allow=",
		" prefer=", " exclude=", " project=", " profile=", " arch=", " bridges=", " subnets=", " keep=", " own=", " peers=", "as-many-as-fit",
		" kept=0", " kept=1", " zone-spread=0.50", " host-spread=0.50", " preferred-host=1", " own-share=1",
		" balanced=0", " headroom=0", " pack=0", " fill=0", " spread=0", "even=true", "even=false", "no room for more", "of the group before",
	} {
		assert.True(t, strings.Contains(all.String(), words), "no scenario shows %q", words)
	}
}

func scenarioFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/*.txt")
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(files), 60)
	return files
}

// storyName begins with a requirement or a rule of the protocol and goes on as a sentence.
var storyName = regexp.MustCompile(`^(R[1-8]\.\d|P\d+|X\d\.\d)(_[A-Za-z0-9]+)+\.txt$`)

func TestScenarios_name_what_they_show_and_begin_with_words(t *testing.T) {
	t.Parallel()
	for _, file := range scenarioFiles(t) {
		assert.Regexp(t, storyName, filepath.Base(file))
		told, err := os.ReadFile(file)
		require.NoError(t, err)
		assert.True(t, strings.HasPrefix(string(told), "# "), "%s begins with a remark that tells the story", file)
	}
}

// play gives the story back with the answers of the code in place of those that are told.
func play(t *testing.T, told string) string {
	t.Helper()
	s := &story{t: t}
	var out strings.Builder
	answered := false
	for line := range strings.Lines(told) {
		text := strings.TrimSuffix(line, "\n")
		switch {
		case answered && text != "":
			continue
		case text == "----":
			out.WriteString("----\n" + s.answer())
			require.Equal(t, s.expected, s.outcome, "%s: the story must say what it expects", s.question)
			answered = true
		default:
			answered = false
			s.read(text)
			out.WriteString(text + "\n")
		}
	}
	return out.String()
}

// answer gives what the code says to the last question.
func (s *story) answer() string {
	s.t.Helper()
	words := strings.Fields(s.question)
	require.NotEmpty(s.t, words, "---- without a question")
	switch words[0] {
	case "place":
		return s.place(words[1:])
	case "distribute":
		return s.distribute(words[1:])
	case "unusable":
		return s.unusable()
	case "available":
		return s.available()
	}
	require.Fail(s.t, "no such question", words[0])
	return ""
}

func (s *story) place(words []string) string {
	s.t.Helper()
	req, show := s.request(words)
	d, err := placement.Place(req.Request, s.snapshot())
	if err != nil {
		return s.failure(err)
	}
	s.outcome = d.Chosen.HostName
	var out strings.Builder
	fmt.Fprintf(&out, "%s\n", d.Summary)
	candidates := d.Candidates()
	require.Equal(s.t, d.Chosen, candidates[0])
	for _, c := range candidates {
		fmt.Fprintf(&out, "fits %s score=%.2f%s\n", c.HostName, c.Score, termsText(c.Terms, show))
	}
	out.WriteString(rejectedText(d.Rejections()))
	s.checkSummary(d.Summary)
	return out.String()
}

// termsText words the terms that are asked for.
func termsText(terms []placement.ScoreTerm, show []string) string {
	var out strings.Builder
	for _, term := range terms {
		for _, name := range show {
			if term.Name == name {
				fmt.Fprintf(&out, " %s=%.2f", term.Name, term.Value)
			}
		}
	}
	return out.String()
}

func rejectedText(rejections []placement.Rejection) string {
	var out strings.Builder
	for _, r := range rejections {
		fmt.Fprintf(&out, "rejected %s %s: %s\n", r.HostName, r.Reason, r.Message)
	}
	return out.String()
}

func (s *story) distribute(words []string) string {
	s.t.Helper()
	req, _ := s.request(words)
	plan, err := placement.Distribute(req, s.snapshot())
	if err != nil {
		return s.failure(err)
	}
	s.checkSummary(plan.Summary)
	var shares []string
	for _, z := range plan.Zones {
		shares = append(shares, fmt.Sprintf("%s=%d", z.Zone, z.Planned))
	}
	s.outcome = strings.Join(shares, " ")
	var out strings.Builder
	fmt.Fprintf(&out, "%s\neven=%t\n", plan.Summary, plan.Even)
	for _, z := range plan.Zones {
		fmt.Fprintf(&out, "zone %s: existing %d, planned %d", z.Zone, z.Existing, z.Planned)
		if z.Explanation != "" {
			fmt.Fprintf(&out, ": %s", z.Explanation)
		}
		out.WriteString("\n")
	}
	for _, h := range s.hosts {
		if n := planned(plan, h.ID); n > 0 {
			fmt.Fprintf(&out, "host %s: %d\n", h.Name, n)
		}
	}
	return out.String() + rejectedText(plan.Rejections)
}

func planned(plan placement.Plan, id inventory.HostID) int {
	n := 0
	for _, vm := range plan.VMs {
		if vm.HostID == id {
			n++
		}
	}
	return n
}

func (s *story) failure(err error) string {
	s.t.Helper()
	if invalid, ok := errors.AsType[*placement.Invalid](err); ok {
		s.outcome = "Invalid " + invalid.Field
		return fmt.Sprintf("%s: %s\n", s.outcome, invalid)
	}
	noFit, ok := errors.AsType[*placement.NoFit](err)
	require.True(s.t, ok, "%v", err)
	s.checkSummary(noFit.Summary)
	s.outcome = noFit.Class.String()
	return fmt.Sprintf("%s: %s\n", noFit.Class, noFit) + rejectedText(noFit.Rejections)
}

func (s *story) checkSummary(summary string) {
	s.t.Helper()
	assert.LessOrEqual(s.t, len([]rune(summary)), 200)
}

func (s *story) unusable() string {
	var out strings.Builder
	for _, h := range s.hosts {
		if r, bad := placement.Unusable(h); bad {
			out.WriteString(rejectedText([]placement.Rejection{r}))
			continue
		}
		fmt.Fprintf(&out, "usable %s\n", h.Name)
	}
	return out.String()
}

func (s *story) available() string {
	usage := placement.NewUsage(s.ledger)
	var out strings.Builder
	for _, h := range s.hosts {
		a := usage.Available(h)
		fmt.Fprintf(&out, "%s cores=%d mem=%dMiB disk=%dGB", h.Name, a.Cores, a.MemoryMiB, a.DiskBytes/inventory.BytesPerGB)
		for _, p := range h.StoragePools {
			fmt.Fprintf(&out, " %s=%dGB", p.Name, usage.StoragePoolAvailable(h, p)/inventory.BytesPerGB)
		}
		out.WriteString("\n")
	}
	return out.String()
}
