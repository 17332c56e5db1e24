package v1beta1

// Finalizers.
const (
	// ClusterFinalizer keeps a MaasCluster until what belongs to it in MAAS is gone.
	ClusterFinalizer = "maascluster.infrastructure.cluster.x-k8s.io"
	// MachineFinalizer keeps a MaasMachine until its machine or VM is gone.
	MachineFinalizer = "maasmachine.infrastructure.cluster.x-k8s.io"
	// HostEvacuationFinalizer is found on machines that were LXD hosts themselves. It is never set, and removed with MachineFinalizer.
	HostEvacuationFinalizer = "maas.lxd.io/host-evacuation"
)

// Annotations of a MaasMachine.
const (
	// ComposeAttemptsAnnotation holds the attempts to make the VM as a JSON list of {attempt, name, hostID, hostName, systemID,
	// sentAt, settled, givenUp, lastHost, yielded, resent}. It is written before anything is made, and it survives clusterctl move.
	ComposeAttemptsAnnotation = "infrastructure.cluster.x-k8s.io/compose-attempts"
	// BareMetalAgentNameAnnotation holds the agent name under which a physical machine is allocated. It is written before the
	// first allocation.
	BareMetalAgentNameAnnotation = "infrastructure.cluster.x-k8s.io/bare-metal-agent-name"
	// BareMetalSentAtAnnotation holds when an allocation was sent whose answer has not been seen, in RFC 3339. It is written
	// before the allocation and removed once its outcome is known.
	BareMetalSentAtAnnotation = "infrastructure.cluster.x-k8s.io/bare-metal-sent-at"
	// BareMetalAllocatedAtAnnotation holds when the allocation of a physical machine was seen, in RFC 3339.
	BareMetalAllocatedAtAnnotation = "infrastructure.cluster.x-k8s.io/bare-metal-allocated-at"
	// AbandonVMAnnotation on a MaasMachine that is being deleted gives up whatever of it cannot be proved to be gone; its value
	// is the reason. The object goes, and the names stay on the MaasCluster's list of abandoned VMs.
	AbandonVMAnnotation = "infrastructure.cluster.x-k8s.io/abandon-vm"
	// HostUnreachableSinceAnnotation holds since when the host of a VM that is to be deleted has not answered, in RFC 3339. It
	// is removed when the host answers.
	HostUnreachableSinceAnnotation = "infrastructure.cluster.x-k8s.io/host-unreachable-since"
	// PowerOnAskedAtAnnotation holds when MAAS was last asked to switch the machine on, in RFC 3339. It is written before that,
	// so that a machine that somebody switches off again and again is not switched on more often than every ten minutes.
	PowerOnAskedAtAnnotation = "infrastructure.cluster.x-k8s.io/power-on-asked-at"
	// VMNameAnnotation holds the name of the first attempt's VM. A name found there is kept.
	VMNameAnnotation = "maas.spectrocloud.com/vm-name"
	// EvacuationCompletedAnnotation is found on machines that were LXD hosts themselves. It is neither set nor read.
	EvacuationCompletedAnnotation = "maas.lxd.io/evacuation-completed"
)

// Annotations of a MaasCluster.
const (
	// ClusterIDAnnotation holds a random id that stands on everything that is made for the cluster in MAAS. Unlike the UID it
	// survives clusterctl move.
	ClusterIDAnnotation = "infrastructure.cluster.x-k8s.io/cluster-id"
	// PendingDeletionsAnnotation holds, as a JSON list, the VMs that are still to be deleted from hosts that did not answer.
	// The cluster's deletion waits for it; an operator who removes an entry gives its VMs up.
	PendingDeletionsAnnotation = "infrastructure.cluster.x-k8s.io/pending-deletions"
	// AbandonedVMsAnnotation holds, as a JSON list, the VMs that an operator gave up.
	AbandonedVMsAnnotation = "infrastructure.cluster.x-k8s.io/abandoned-vms"
	// RemoveOrphansAnnotation asks for orphans of the cluster to be deleted: VMs that are marked for it and belong to no
	// MaasMachine, by name, separated by commas. It is removed when the deletions stand on the list of pending ones, or the
	// request was refused.
	RemoveOrphansAnnotation = "infrastructure.cluster.x-k8s.io/remove-orphans"
	// ConfirmRemoveOrphansAnnotation confirms a request that would remove more than a tenth of the cluster's VMs; its value is
	// how many.
	ConfirmRemoveOrphansAnnotation = "infrastructure.cluster.x-k8s.io/remove-orphans-confirmed"
	// CustomDNSProvidedAnnotation says by its presence that somebody else keeps the control plane's DNS record.
	CustomDNSProvidedAnnotation = "spectrocloud.com/custom-dns-provided"
)

// The ConfigMap in a cluster's namespace that chooses the addresses which go into DNS.
const (
	// PreferredSubnetConfigMap is the name of the ConfigMap.
	PreferredSubnetConfigMap = "maas-preferred-subnet"
	// PreferredSubnetKey is the key whose value is a comma-separated list of CIDRs.
	PreferredSubnetKey = "preferredSubnets"
)
