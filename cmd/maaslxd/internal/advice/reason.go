package advice

import lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"

// reasons has an entry for every reason of the contract but the unspecified one.
var reasons = map[lxdprovisionerv1.Reason]string{
	lxdprovisionerv1.Reason_REASON_BAD_REQUEST:                "correct the fields that are named; asking again as it stands changes nothing",
	lxdprovisionerv1.Reason_REASON_BAD_RESOURCES:              "ask for cores, memory and disk that at least one host has in all, and for 1 GiB of memory or more",
	lxdprovisionerv1.Reason_REASON_IMAGE_NOT_FOUND:            "import or upload the image in MAAS for the hosts' architecture, or name one that it has",
	lxdprovisionerv1.Reason_REASON_BAD_USER_DATA:              "look at the bootstrap secret of the Machine: it is empty or larger than MAAS takes",
	lxdprovisionerv1.Reason_REASON_STATIC_IP_INVALID:          "choose a host address of the subnet that is not network, broadcast, gateway or DNS server",
	lxdprovisionerv1.Reason_REASON_STATIC_IP_GATEWAY_MISMATCH: "leave the gateway out, or change it on the subnet in MAAS",
	lxdprovisionerv1.Reason_REASON_STATIC_IP_DNS_MISMATCH:     "leave the DNS servers out, or change them on the subnet in MAAS",
	lxdprovisionerv1.Reason_REASON_STATIC_IP_TAKEN:            "choose another address, or free it in MAAS from the machine, reservation or DNS record that holds it",
	lxdprovisionerv1.Reason_REASON_DEPLOYMENT_REFUSED:         "read MAAS's own words in the message; the image, its kernel or the machine's storage is usually at fault",
	lxdprovisionerv1.Reason_REASON_SUBNET_NOT_FOUND:           "name a subnet that MAAS has, by name, CIDR or id",
	lxdprovisionerv1.Reason_REASON_DOMAIN_NOT_FOUND:           "create the DNS domain in MAAS; MaasCluster.spec.dnsDomain names it",

	lxdprovisionerv1.Reason_REASON_VM_NOT_FOUND:       "the VM is proved to be gone; delete its Machine to have another one made",
	lxdprovisionerv1.Reason_REASON_MACHINE_NOT_FOUND:  "MAAS has no such machine for its owner; delete its Machine to have another one taken",
	lxdprovisionerv1.Reason_REASON_ENDPOINT_NOT_FOUND: "there is no such DNS record; the manager makes it with the cluster's first control plane",

	lxdprovisionerv1.Reason_REASON_NO_HOSTS:               "add LXD VM hosts to MAAS",
	lxdprovisionerv1.Reason_REASON_NO_HOST_IN_POOL:        "put a usable host into the resource pool in MAAS, or name another pool; maaslxd hosts shows both",
	lxdprovisionerv1.Reason_REASON_NO_HOST_IN_ZONE:        "put a usable host into the zone in MAAS, or leave the zone out of the cluster's failureDomains",
	lxdprovisionerv1.Reason_REASON_NO_HOST_MATCHES:        "compare what is asked for (tags, hosts, project, network, anti-affinity) with the reason of each host",
	lxdprovisionerv1.Reason_REASON_ZONE_NOT_FOUND:         "name a zone that MAAS has",
	lxdprovisionerv1.Reason_REASON_POOL_NOT_FOUND:         "name a resource pool that MAAS has",
	lxdprovisionerv1.Reason_REASON_STORAGE_POOL_NOT_FOUND: "name an LXD storage pool that a host has, or refresh the host in MAAS if it was just made",
	lxdprovisionerv1.Reason_REASON_PROFILE_NOT_FOUND:      "leave the profile out: MAAS always uses its own, \"maas\"",
	lxdprovisionerv1.Reason_REASON_PROJECT_NOT_FOUND:      "name the LXD project that MAAS tracks on the hosts, or leave it out",

	lxdprovisionerv1.Reason_REASON_INSUFFICIENT_RESOURCES: "add hosts or memory, ask for less, or raise the over-commit ratio of a host in MAAS; it is tried again by itself",
	lxdprovisionerv1.Reason_REASON_NO_MACHINE_AVAILABLE:   "bring a machine that matches to Ready in MAAS, or release one; it is tried again by itself",
	lxdprovisionerv1.Reason_REASON_ADDRESSES_EXHAUSTED:    "free or add addresses in the subnet; it is tried again by itself",

	lxdprovisionerv1.Reason_REASON_COMPOSITION_IN_PROGRESS: "wait: MAAS makes the VM",
	lxdprovisionerv1.Reason_REASON_DELETION_IN_PROGRESS:    "wait: MAAS deletes, or the proof is still to come",
	lxdprovisionerv1.Reason_REASON_NOT_READY:               "wait: MAAS moves the machine on by itself; the message says where it does not",
	lxdprovisionerv1.Reason_REASON_MACHINE_LOCKED:          "unlock the machine in MAAS when you are done with it",
	lxdprovisionerv1.Reason_REASON_MAAS_BUSY:               "wait; if it lasts, see whether MAAS has a rack controller connected and how busy its region is",
	lxdprovisionerv1.Reason_REASON_MAAS_LOST_MACHINES:      "deployed VMs of the host are missing in MAAS, after a restored backup for example: bring them back, or delete the Machines of those that are lost",
	lxdprovisionerv1.Reason_REASON_TOO_MANY_IN_FLIGHT:      "wait: others of this host or cluster come first",
	lxdprovisionerv1.Reason_REASON_ALLOCATION_IN_PROGRESS:  "wait: MAAS allocates the machine",

	lxdprovisionerv1.Reason_REASON_LXD_HOST_UNAVAILABLE:  "see that LXD runs on the host and trusts MAAS's certificate; another host is tried meanwhile",
	lxdprovisionerv1.Reason_REASON_VM_COMPOSITION_FAILED: "read LXD's own words in the message; another host is tried meanwhile",
	lxdprovisionerv1.Reason_REASON_HOST_OVERCOMMITTED:    "nothing, unless it lasts: somebody else uses the host; another one is tried meanwhile",
	lxdprovisionerv1.Reason_REASON_STORAGE_EXHAUSTED:     "free or add room in the LXD storage pool of the host; another host is tried meanwhile",
	lxdprovisionerv1.Reason_REASON_NETWORK_REFUSED:       "compare the bridge and VLAN of the host with what the machine asks for; another host is tried meanwhile",
	lxdprovisionerv1.Reason_REASON_VM_DEPLOYMENT_FAILED:  "look at the machine's events in MAAS; after a few failures delete the Machine to have it made anew",
	lxdprovisionerv1.Reason_REASON_LXD_TOO_NEW_FOR_MAAS:  "pin LXD below 6.7 on the host, for example to its 5.21 LTS channel",

	lxdprovisionerv1.Reason_REASON_MAAS_UNAVAILABLE: "see that MAAS's region answers at MAAS_ENDPOINT from the service's pods; nothing is lost meanwhile",
	lxdprovisionerv1.Reason_REASON_OUTCOME_UNKNOWN:  "wait: what was sent is looked for, not repeated",
	lxdprovisionerv1.Reason_REASON_HOST_UNREACHABLE: "bring the host back; if it never returns, remove it from MAAS, and give up what is left: maaslxd orphans --forget",

	lxdprovisionerv1.Reason_REASON_NAME_TAKEN: "somebody else has a machine of that name, or this machine; nothing of theirs is touched",

	lxdprovisionerv1.Reason_REASON_MAAS_KEY_REFUSED:    "put a valid API key into the Secret capmaas-manager-bootstrap-credentials (MAAS_API_KEY)",
	lxdprovisionerv1.Reason_REASON_MAAS_RIGHTS_MISSING: "make the key's MAAS user an administrator, or give it the right that the message names",

	lxdprovisionerv1.Reason_REASON_MAAS_VMHOST_REMOVED: "this MAAS has no VM hosts any more: LXD machines need MAAS 3.4 to 3.8; bare metal works on",
	lxdprovisionerv1.Reason_REASON_NOT_SUPPORTED:       "ask for something else: the message names what this MAAS can't do",

	lxdprovisionerv1.Reason_REASON_CALLER_NOT_ALLOWED: "use a certificate that may make this call; the message has the names of yours and the flag of the service that lists who may",

	lxdprovisionerv1.Reason_REASON_INTERNAL: "report it with the service's log of that moment: it is a defect",
}

// ForReason says what to do about a reason; empty for one that this version does not know.
func ForReason(reason lxdprovisionerv1.Reason) string { return reasons[reason] }
