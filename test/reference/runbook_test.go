package reference_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

const runbookPage = "docs/runbook.md"

// section matches a heading of the second level.
var section = regexp.MustCompile(`(?m)^## (.+)$`)

func TestRunbook_has_a_section_for_every_alert_and_none_for_another(t *testing.T) {
	t.Parallel()
	var rules struct {
		Spec struct {
			Groups []struct {
				Rules []struct {
					Alert       string            `json:"alert"`
					Annotations map[string]string `json:"annotations"`
				} `json:"rules"`
			} `json:"groups"`
		} `json:"spec"`
	}
	require.NoError(t, yaml.Unmarshal([]byte(readPage(t, "deploy/monitoring/alerts.yaml")), &rules))
	var alerts []string
	for _, group := range rules.Spec.Groups {
		for _, rule := range group.Rules {
			if rule.Alert != "" {
				alerts = append(alerts, rule.Alert)
				assert.Contains(t, rule.Annotations["runbook_url"], runbookPage+"#"+strings.ToLower(rule.Alert))
			}
		}
	}
	require.NotEmpty(t, alerts)
	assert.ElementsMatch(t, alerts, sectionsOf(t, "\n# Alerts\n"))
}

func TestRunbook_has_a_section_for_every_reason_that_is_an_event_of_trouble(t *testing.T) {
	t.Parallel()
	sections := sectionsOf(t, "\n# Conditions\n")
	// These are what an event tells of as "the same" in conditions.md: the reasons of MachineDeployed that somebody should hear of.
	_, events, found := strings.Cut(readPage(t, conditionsPage), "\n## Events\n")
	require.True(t, found)
	var trouble []string
	for line := range strings.Lines(events) {
		if match := firstCell.FindStringSubmatch(line); match != nil && (strings.Contains(line, "| the same |") || match[1] == "MachineDeployFailed") {
			trouble = append(trouble, match[1])
		}
	}
	require.Len(t, trouble, 8)
	assert.Subset(t, sections, trouble)
	assert.Subset(t, constants(t, "Reason"), sections, "a section is no reason")
}

// sectionsOf are the headings of the second level below one of the first.
func sectionsOf(t *testing.T, part string) []string {
	t.Helper()
	_, text, found := strings.Cut(readPage(t, runbookPage), part)
	require.True(t, found)
	text, _, _ = strings.Cut(text, "\n# ")
	var all []string
	for _, match := range section.FindAllStringSubmatch(text, -1) {
		all = append(all, match[1])
	}
	return all
}
