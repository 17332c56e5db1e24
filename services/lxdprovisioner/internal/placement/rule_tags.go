package placement

import "slices"

// MissingTags is MISSING_TAGS of the contract.
const MissingTags Reason = "MISSING_TAGS"

// tagsRule wants all tags that are asked for, on the VM host itself.
var tagsRule = rule{
	reason: MissingTags,
	phrase: [2]string{"lacks a tag", "lack a tag"},
	stage:  stageMatch,
	asked:  func(q *query) bool { return len(q.want.Tags) > 0 },
	alike:  func(q *query, k *kind) bool { return lacksAny(k.Tags, q.want.Tags) },
	explain: func(q *query, c *host) string {
		var missing []string
		for _, tag := range q.want.Tags {
			if !slices.Contains(c.Tags, tag) {
				missing = append(missing, tag)
			}
		}
		if len(missing) > 1 {
			return "lacks the tags " + allOf(missing)
		}
		return "lacks the tag " + allOf(missing)
	},
}

// lacksAny says whether one of the words that are wanted is missing.
func lacksAny(has, wanted []string) bool {
	for _, w := range wanted {
		if !slices.Contains(has, w) {
			return true
		}
	}
	return false
}
