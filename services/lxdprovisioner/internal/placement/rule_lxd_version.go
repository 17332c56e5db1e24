package placement

import (
	"fmt"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

// From this LXD on, instances with security.secureboot in their configuration are refused, and MAAS
// always sends it.
const tooNewMajor, tooNewMinor = 6, 7

// LXDTooNewForMAAS is LXD_TOO_NEW_FOR_MAAS of the contract.
const LXDTooNewForMAAS Reason = "LXD_TOO_NEW_FOR_MAAS"

// lxdVersionRule keeps LXD versions out on which MAAS can't compose. A version that MAAS does not
// tell, or that is no version, passes: the composition will show.
var lxdVersionRule = rule{
	reason: LXDTooNewForMAAS,
	phrase: [2]string{"has an LXD too new for MAAS", "have an LXD too new for MAAS"},
	stage:  stageUsable,
	alone: func(h *inventory.Host) bool {
		major, minor := version(h.LXDVersion)
		return major > tooNewMajor || major == tooNewMajor && minor >= tooNewMinor
	},
	explain: func(_ *query, c *host) string {
		return fmt.Sprintf("has LXD %s, MAAS composes only on LXD below %d.%d", c.LXDVersion, tooNewMajor, tooNewMinor)
	},
}

// version reads "major.minor" from the beginning of a text; zeros stand for what is not there.
func version(text string) (major, minor int) {
	major, rest := leadingNumber(text)
	if len(rest) < 2 || rest[0] != '.' {
		return major, 0
	}
	minor, _ = leadingNumber(rest[1:])
	return major, minor
}

// leadingNumber reads at most six digits, which no version exceeds.
func leadingNumber(text string) (n int, rest string) {
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' || i == 6 {
			return n, text[i:]
		}
		n = n*10 + int(text[i]-'0')
	}
	return n, ""
}
