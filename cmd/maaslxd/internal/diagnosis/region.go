package diagnosis

import (
	"slices"
	"strconv"
	"strings"

	"github.com/capmaas/capmaas/cmd/maaslxd/internal/advice"
	"github.com/capmaas/capmaas/proto/errorinfo"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// The minor versions of MAAS 3 that are supported.
const (
	oldestMinor = 4
	newestMinor = 8
)

// shared are names of MAAS users that others are likely to work with, too.
var shared = []string{"admin", "administrator", "root", "maas", "ubuntu"}

// checkRegion looks at key, user, rights and version.
func checkRegion(n *notes, region *lxdprovisionerv1.GetRegionResponse) {
	if problem := region.GetProblem(); problem != "" {
		n.addf(Wrong, advice.ForReason(errorinfo.ReasonOf(region.GetProblemReason())), "%s: %s", region.GetProblemReason(), problem)
	}
	if region.GetMaasVersion() == "" {
		return
	}
	checkVersion(n, region.GetMaasVersion())
	checkUser(n, region)
	checkCapabilities(n, region.GetCapabilities())
}

func checkVersion(n *notes, version string) {
	major, rest, _ := strings.Cut(version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	number, err := strconv.Atoi(minor)
	if major != "3" || err != nil || number < oldestMinor || number > newestMinor {
		n.addf(Warning, "use MAAS 3.4 to 3.8: others have not been tried", "MAAS %s", version)
		return
	}
	n.okf("MAAS %s", version)
}

func checkUser(n *notes, region *lxdprovisionerv1.GetRegionResponse) {
	user := region.GetUser()
	switch {
	case user == "":
		return // the problem says why
	case slices.Contains(shared, strings.ToLower(user)):
		n.addf(Warning, "make a MAAS user for capmaas alone and use its key: what it owns counts as ours", "the key is of MAAS user %q, which others may use too", user)
	default:
		n.okf("the key is of MAAS user %q", user)
	}
	if region.GetAdmin() {
		n.okf("the user is an administrator")
	}
}

func checkCapabilities(n *notes, has []lxdprovisionerv1.Capability) {
	for _, one := range []struct {
		capability lxdprovisionerv1.Capability
		what       string
	}{
		{lxdprovisionerv1.Capability_CAPABILITY_LXD_VMS, "compose and delete VMs"},
		{lxdprovisionerv1.Capability_CAPABILITY_BARE_METAL, "allocate and deploy bare metal"},
		{lxdprovisionerv1.Capability_CAPABILITY_DNS, "write DNS records"},
	} {
		if slices.Contains(has, one.capability) {
			n.okf("the service may %s", one.what)
			continue
		}
		n.addf(Wrong, "make the key's MAAS user an administrator; VMs need a MAAS that has VM hosts (3.4 to 3.8), too", "the service can't %s", one.what)
	}
}
