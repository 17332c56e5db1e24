package placement

import "slices"

// tagsRule wants all tags that are asked for, on the VM host itself.
var tagsRule = rule{
	reason:  MissingTags,
	stage:   stageMatch,
	asked:   func(q *query) bool { return len(q.want.Tags) > 0 },
	rejects: func(q *query, c *host) bool { return missingTag(q, c) >= 0 },
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

// missingTag gives the index of the first tag that the host lacks, -1 where it lacks none.
func missingTag(q *query, c *host) int {
	for i, tag := range q.want.Tags {
		if !slices.Contains(c.Tags, tag) {
			return i
		}
	}
	return -1
}
