package placement

import (
	"fmt"
	"slices"
	"strings"
)

// OtherArchitecture is OTHER_ARCHITECTURE of the contract.
const OtherArchitecture Reason = "OTHER_ARCHITECTURE"

// architectureRule wants the architecture; "amd64" stands for every "amd64/…".
var architectureRule = rule{
	reason: OtherArchitecture,
	phrase: [2]string{"has another architecture", "have another architecture"},
	stage:  stageMatch,
	asked:  func(q *query) bool { return q.want.Architecture != "" },
	alike: func(q *query, k *kind) bool {
		return !slices.ContainsFunc(k.Architectures, func(a string) bool {
			return sameArchitecture(q.want.Architecture, a)
		})
	},
	explain: func(q *query, c *host) string {
		return fmt.Sprintf("has architecture %s, not %q", anyOf(c.Architectures), q.want.Architecture)
	},
}

func sameArchitecture(asked, has string) bool {
	rest, ok := strings.CutPrefix(has, asked)
	return ok && (rest == "" || rest[0] == '/')
}
