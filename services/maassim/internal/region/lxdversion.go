package region

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/capmaas/capmaas/services/maassim/internal/rest"
)

// refusedByVersion says why LXD of this version takes no VM from MAAS: before 4.16 MAAS's driver declines, and LXD from 6.7 on
// refuses a key that every MAAS sends. The words of the second are in LXD's source; they are not from a recording.
func refusedByVersion(h *vmHost) error {
	why := ""
	switch {
	case h.kind != "lxd":
	case versionBefore(h.version, 4, 16):
		why = "Please upgrade your LXD host to 4.16 or higher for virtual machine support."
	case !versionBefore(h.version, 6, 7):
		why = `Failed creating instance record: Unknown configuration key: "security.secureboot"`
	}
	if why == "" {
		return nil
	}
	return rest.Text(http.StatusServiceUnavailable, "Unable to compose machine because: %s", why)
}

func versionBefore(version string, major, minor int) bool {
	parts := strings.SplitN(version, ".", 3)
	numbers := [2]int{}
	for i := range min(len(parts), 2) {
		n, err := strconv.Atoi(parts[i])
		if err != nil {
			return false
		}
		numbers[i] = n
	}
	return numbers[0] < major || numbers[0] == major && numbers[1] < minor
}
