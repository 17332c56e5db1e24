package advice

import (
	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/proto/errorinfo"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// conditions are reasons of conditions that are not the service's.
var conditions = map[string]string{
	infrav1.WaitingForClusterInfrastructureReason: "look at the conditions of the MaasCluster: machines wait for its endpoint",
	infrav1.WaitingForBootstrapDataReason:         "look at the bootstrap object of the Machine: workers wait for the first control plane",
	infrav1.WaitingForStaticIPReason:              "fill in spec.staticIP.ip of the MaasMachine",
	infrav1.WaitingForTurnReason:                  "wait: others of the cluster are made first",
	infrav1.MachineDeployStartedReason:            "wait: the machine is being found or made",
	infrav1.MachineDeployingReason:                "wait: MAAS deploys, which takes minutes",
	infrav1.MachineDeployFailedReason:             "read the message; a failed machine is made anew a few times, then delete its Machine",
	infrav1.MachinePoweredOffReason:               "see why the machine is off; it is switched on again by itself, at most every ten minutes",
	infrav1.MachineTerminatedReason:               "somebody released the machine in MAAS: delete its Machine to have another one",
	infrav1.MachineNotFoundReason:                 "see whether MAAS answers: the machine could not be asked for",
	infrav1.MachineStateUndefinedReason:           "bring the machine in MAAS out of the state that the message names",
	infrav1.VMMissingReason:                       "the VM is gone and is not made again: delete its Machine to have another one",
	infrav1.HostLostReason:                        "bring the LXD host back, or delete the Machine to have another one elsewhere",
	infrav1.OverdueReason:                         "look at the machine's events in MAAS: it takes longer than it should",
	infrav1.MachineDeletingReason:                 "wait: the machine is being deleted",
	infrav1.DeletionHandedOverReason:              "nothing: the cluster's list of pending deletions has it (maaslxd orphans)",
	infrav1.NodeProviderIDMismatchReason:          "the Node has another provider ID: see whether two machines have one name",
	infrav1.DNSAttachPendingReason:                "wait: the address enters the DNS record when its API server answers",
	infrav1.DNSDetachPendingReason:                "wait: the address leaves the DNS record first",
	infrav1.LXDVMComposingReason:                  "wait: MAAS makes the VM",
	infrav1.WaitingForLXDHostReason:               "wait: no host was looked for yet",
	infrav1.LXDVMDeployStartedReason:              "wait: MAAS deploys, which takes minutes",
	infrav1.LXDVMNotFoundReason:                   "the VM is gone: delete its Machine to have another one",
	infrav1.LoadBalancerFailedReason:              "read the message: the DNS record could not be written in MAAS",
	infrav1.WaitForDNSNameReason:                  "wait: the name of the DNS record is not known yet",
	infrav1.APIServerNotReadyReason:               "see whether the first control plane is deployed, and its kubeadm",
	infrav1.LXDSetupPendingReason:                 "set the hosts up yourself: this provider does not do what lxdConfig of a MaasCluster asks for",
	infrav1.TooManyZonesReason:                    "name the zones of the cluster in spec.failureDomains",
	infrav1.ProvisionerUnreachableReason:          "see that the service's pods run and that manager and service have certificates of one authority",
	infrav1.ProvisionerVersionMismatchReason:      "bring manager and service to one version",
	infrav1.DeletionsPendingReason:                "bring the hosts back, or give their VMs up: maaslxd orphans --forget",
}

// ForCondition says what to do about the reason of a condition: one of this provider's, or the service's own word. It is
// empty for any other.
func ForCondition(reason string) string {
	if of := errorinfo.ReasonOf(reason); of != lxdprovisionerv1.Reason_REASON_UNSPECIFIED {
		return ForReason(of)
	}
	return conditions[reason]
}
