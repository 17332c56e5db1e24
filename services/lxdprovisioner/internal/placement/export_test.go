package placement

import "fmt"

// FaultyRules says what is wrong with the list of rules: each must say in one way whether it rejects, and
// stand behind all rules of earlier stages, or the class of a failure would be wrong.
func FaultyRules() []string {
	var faults []string
	for i := range rules {
		r := &rules[i]
		ways := 0
		for _, has := range []bool{r.alone != nil, r.alike != nil, r.rejects != nil} {
			if has {
				ways++
			}
		}
		if ways != 1 {
			faults = append(faults, fmt.Sprintf("rule %d (%s) has %d of alone, alike and rejects", i, r.reason, ways))
		}
		if r.explain == nil {
			faults = append(faults, fmt.Sprintf("rule %d (%s) explains nothing", i, r.reason))
		}
		if i > 0 && r.stage < rules[i-1].stage {
			faults = append(faults, fmt.Sprintf("rule %d (%s) stands behind a rule of a later stage", i, r.reason))
		}
		if r.reason.phrased(1) == string(r.reason) {
			faults = append(faults, fmt.Sprintf("rule %d (%s): no rule of its reason has a phrase for summaries", i, r.reason))
		}
	}
	return faults
}
