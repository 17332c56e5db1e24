package maas

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

// hostPrefix begins the host ids of this back end.
const hostPrefix = "vmhost/"

// systemIDs are six letters and digits in every MAAS 3.x. An empty one in a path would be the whole
// list of machines, and one with dots another object.
var systemIDs = regexp.MustCompile(`^[a-z0-9]{3,16}$`)

// HostID gives the host id of MAAS's VM host number n, for example "vmhost/12".
func HostID(n int) inventory.HostID { return inventory.HostID(hostPrefix + strconv.Itoa(n)) }

// VMHostNumber gives MAAS's number of a host id; Invalid where it isn't one of HostID's.
func VMHostNumber(id inventory.HostID) (int, error) {
	digits, ok := strings.CutPrefix(string(id), hostPrefix)
	n, err := strconv.Atoi(digits)
	if !ok || err != nil || n <= 0 || strconv.Itoa(n) != digits {
		return 0, fault.New(fault.Invalid, fault.ReasonBadRequest, "host id %q is not of the form %s<number>", id, hostPrefix)
	}
	return n, nil
}

func checkSystemID(id string) error {
	if !systemIDs.MatchString(id) {
		return fault.New(fault.Invalid, fault.ReasonBadRequest, "%q is not a MAAS system id", id)
	}
	return nil
}

func checkSystemIDs(ids []string) error {
	for _, id := range ids {
		if err := checkSystemID(id); err != nil {
			return err
		}
	}
	return nil
}

// checkNumber refuses numbers that no object has.
func checkNumber(what string, n int) error {
	if n <= 0 {
		return fault.New(fault.Invalid, fault.ReasonBadRequest, "%s id %d: MAAS's ids begin with 1", what, n)
	}
	return nil
}
