package placement

import "fmt"

// OtherProject is OTHER_PROJECT of the contract.
const OtherProject Reason = "OTHER_PROJECT"

// projectRule wants the LXD project that is named. None named is the host's own, known or not; a
// project that MAAS does not tell never is the one that was asked for.
var projectRule = rule{
	reason: OtherProject,
	phrase: [2]string{"has another project", "have another project"},
	stage:  stageProject,
	asked:  func(q *query) bool { return q.want.Project != "" },
	alike:  func(q *query, k *kind) bool { return k.Project != q.want.Project },
	explain: func(q *query, c *host) string {
		if c.Project == "" {
			return fmt.Sprintf("needs the LXD project %q, it is not known which one MAAS tracks there", q.want.Project)
		}
		return fmt.Sprintf("needs the LXD project %q, MAAS tracks %q there", q.want.Project, c.Project)
	},
}
