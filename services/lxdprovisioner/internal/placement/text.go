package placement

import (
	"fmt"
	"strings"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

const mibPerGiB = 1024

// memoryText words an amount of memory: GiB with at most one decimal, rounded down, MiB below one.
func memoryText(mib int64) string {
	switch {
	case mib%mibPerGiB == 0:
		return fmt.Sprintf("%d GiB", mib/mibPerGiB)
	case mib < mibPerGiB:
		return fmt.Sprintf("%d MiB", mib)
	default:
		return fmt.Sprintf("%d.%d GiB", mib/mibPerGiB, mib%mibPerGiB*10/mibPerGiB)
	}
}

// memoryPair words two amounts so that different amounts never read the same.
func memoryPair(needs, has int64) (string, string) {
	a, b := memoryText(needs), memoryText(has)
	if needs != has && (a == b || needs%(mibPerGiB/2) != 0) {
		return fmt.Sprintf("%d MiB", needs), fmt.Sprintf("%d MiB", has)
	}
	return a, b
}

// diskText words an amount of disk in GB, rounded down.
func diskText(bytes int64) string { return fmt.Sprintf("%d GB", bytes/inventory.BytesPerGB) }

// givenOut adds what the ledger holds to what a host has; nothing where it holds nothing.
func givenOut(amount int64, text string) string {
	if amount <= 0 {
		return ""
	}
	return fmt.Sprintf(" (%s promised to other VMs)", text)
}

// count words a number of things.
func count[N int | int64](n N, noun string) string {
	if n == 1 {
		return fmt.Sprintf("1 %s", noun)
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func inZone(zone string) string { return "in zone " + clip(zone, nameLimit) }

func anyOf(words []string) string { return list(words, " or ") }

func allOf(words []string) string { return list(words, " and ") }

// listed is how many words a list names before it only counts them.
const listed = 4

// list quotes words and puts the last separator between the last two; "none" where there are none.
func list(words []string, last string) string {
	quoted := make([]string, 0, listed+1)
	for _, w := range words[:min(len(words), listed)] {
		quoted = append(quoted, fmt.Sprintf("%q", clip(w, nameLimit)))
	}
	if more := len(words) - listed; more > 0 {
		quoted = append(quoted, fmt.Sprintf("%d more", more))
	}
	switch n := len(quoted); n {
	case 0:
		return "none"
	case 1:
		return quoted[0]
	default:
		return strings.Join(quoted[:n-1], ", ") + last + quoted[n-1]
	}
}
