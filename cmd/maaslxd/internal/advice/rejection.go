package advice

import (
	"strings"

	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// rejections has an entry for every reason for which a host is out, but the unspecified one.
var rejections = map[lxdprovisionerv1.RejectionReason]string{
	lxdprovisionerv1.RejectionReason_REJECTION_REASON_NOT_LXD:              "nothing: only LXD hosts take VMs",
	lxdprovisionerv1.RejectionReason_REJECTION_REASON_NOT_COMPOSABLE:       "let the host's LXD trust MAAS's certificate, then refresh the host in MAAS",
	lxdprovisionerv1.RejectionReason_REJECTION_REASON_LXD_TOO_NEW_FOR_MAAS: "pin LXD below 6.7 on the host, for example to its 5.21 LTS channel",
	lxdprovisionerv1.RejectionReason_REJECTION_REASON_HOST_NOT_INVENTORIED: "refresh the host in MAAS, so that MAAS learns its cores and memory",
	lxdprovisionerv1.RejectionReason_REJECTION_REASON_HOST_POWERED_OFF:     "switch the host's machine on",
	lxdprovisionerv1.RejectionReason_REJECTION_REASON_HOST_NOT_DEPLOYED:    "deploy the host's machine in MAAS",
	lxdprovisionerv1.RejectionReason_REJECTION_REASON_HOST_MAINTENANCE:     "remove the maintenance tag in MAAS when the work is done",
	lxdprovisionerv1.RejectionReason_REJECTION_REASON_OTHER_POOL:           "move the host to the resource pool in MAAS, or ask for its pool",
	lxdprovisionerv1.RejectionReason_REJECTION_REASON_OTHER_ZONE:           "move the host to the zone in MAAS, or ask for its zone",
	lxdprovisionerv1.RejectionReason_REJECTION_REASON_MISSING_TAGS:         "tag the host in MAAS, or ask for fewer tags",
	lxdprovisionerv1.RejectionReason_REJECTION_REASON_OTHER_PROJECT:        "ask for the project that MAAS tracks there, or for none",
	lxdprovisionerv1.RejectionReason_REJECTION_REASON_OTHER_ARCHITECTURE:   "ask for the host's architecture",
	lxdprovisionerv1.RejectionReason_REJECTION_REASON_STORAGE_POOL_MISSING: "make the storage pool in LXD and refresh the host in MAAS, or ask for another",
	lxdprovisionerv1.RejectionReason_REJECTION_REASON_INSUFFICIENT_STORAGE: "free or add room in the storage pool, or ask for less disk",
	lxdprovisionerv1.RejectionReason_REJECTION_REASON_INSUFFICIENT_CORES:   "move VMs away, raise the host's CPU over-commit ratio in MAAS, or ask for less",
	lxdprovisionerv1.RejectionReason_REJECTION_REASON_INSUFFICIENT_MEMORY:  "move VMs away, raise the host's memory over-commit ratio in MAAS, or ask for less",
	lxdprovisionerv1.RejectionReason_REJECTION_REASON_NETWORK_MISSING:      "make the bridge on the host, or connect it to the network, and commission or refresh it in MAAS",
	lxdprovisionerv1.RejectionReason_REJECTION_REASON_NOT_ALLOWED:          "name the host too, or name none",
	lxdprovisionerv1.RejectionReason_REJECTION_REASON_EXCLUDED:             "nothing: the request leaves the host out",
	lxdprovisionerv1.RejectionReason_REJECTION_REASON_ANTI_AFFINITY:        "add a host, or let anti-affinity be preferred instead of required",
	lxdprovisionerv1.RejectionReason_REJECTION_REASON_BAD_TAG:              "rename the host's tag in MAAS to letters, digits, _ and - alone",
}

// ForRejection says what to do to make a host take a VM; empty for a reason that this version does not know.
func ForRejection(reason lxdprovisionerv1.RejectionReason) string { return rejections[reason] }

// RejectionWord is the reason without the enum's prefix.
func RejectionWord(reason lxdprovisionerv1.RejectionReason) string {
	return strings.TrimPrefix(reason.String(), "REJECTION_REASON_")
}
