package fault

// Reason is the machine-readable word of a fault. It equals a value of the contract's enum Reason
// without the prefix REASON_; a test in internal/server compares the two.
type Reason string

// The reasons, each with the kinds that it comes with in reason.proto.
const (
	// ReasonBadRequest is BAD_REQUEST of the contract.
	ReasonBadRequest Reason = "BAD_REQUEST"
	// ReasonBadResources is BAD_RESOURCES of the contract.
	ReasonBadResources Reason = "BAD_RESOURCES"
	// ReasonImageNotFound is IMAGE_NOT_FOUND of the contract.
	ReasonImageNotFound Reason = "IMAGE_NOT_FOUND"
	// ReasonBadUserData is BAD_USER_DATA of the contract.
	ReasonBadUserData Reason = "BAD_USER_DATA"
	// ReasonStaticIPInvalid is STATIC_IP_INVALID of the contract.
	ReasonStaticIPInvalid Reason = "STATIC_IP_INVALID"
	// ReasonStaticIPGatewayMismatch is STATIC_IP_GATEWAY_MISMATCH of the contract.
	ReasonStaticIPGatewayMismatch Reason = "STATIC_IP_GATEWAY_MISMATCH"
	// ReasonStaticIPDNSMismatch is STATIC_IP_DNS_MISMATCH of the contract.
	ReasonStaticIPDNSMismatch Reason = "STATIC_IP_DNS_MISMATCH"
	// ReasonStaticIPTaken is STATIC_IP_TAKEN of the contract.
	ReasonStaticIPTaken Reason = "STATIC_IP_TAKEN"
	// ReasonDeploymentRefused is DEPLOYMENT_REFUSED of the contract.
	ReasonDeploymentRefused Reason = "DEPLOYMENT_REFUSED"
	// ReasonSubnetNotFound is SUBNET_NOT_FOUND of the contract.
	ReasonSubnetNotFound Reason = "SUBNET_NOT_FOUND"
	// ReasonDomainNotFound is DOMAIN_NOT_FOUND of the contract.
	ReasonDomainNotFound Reason = "DOMAIN_NOT_FOUND"
	// ReasonVMNotFound is VM_NOT_FOUND of the contract.
	ReasonVMNotFound Reason = "VM_NOT_FOUND"
	// ReasonMachineNotFound is MACHINE_NOT_FOUND of the contract.
	ReasonMachineNotFound Reason = "MACHINE_NOT_FOUND"
	// ReasonEndpointNotFound is ENDPOINT_NOT_FOUND of the contract.
	ReasonEndpointNotFound Reason = "ENDPOINT_NOT_FOUND"
	// ReasonNoHosts is NO_HOSTS of the contract.
	ReasonNoHosts Reason = "NO_HOSTS"
	// ReasonNoHostInPool is NO_HOST_IN_POOL of the contract.
	ReasonNoHostInPool Reason = "NO_HOST_IN_POOL"
	// ReasonNoHostInZone is NO_HOST_IN_ZONE of the contract.
	ReasonNoHostInZone Reason = "NO_HOST_IN_ZONE"
	// ReasonNoHostMatches is NO_HOST_MATCHES of the contract.
	ReasonNoHostMatches Reason = "NO_HOST_MATCHES"
	// ReasonZoneNotFound is ZONE_NOT_FOUND of the contract.
	ReasonZoneNotFound Reason = "ZONE_NOT_FOUND"
	// ReasonPoolNotFound is POOL_NOT_FOUND of the contract.
	ReasonPoolNotFound Reason = "POOL_NOT_FOUND"
	// ReasonStoragePoolNotFound is STORAGE_POOL_NOT_FOUND of the contract.
	ReasonStoragePoolNotFound Reason = "STORAGE_POOL_NOT_FOUND"
	// ReasonProfileNotFound is PROFILE_NOT_FOUND of the contract.
	ReasonProfileNotFound Reason = "PROFILE_NOT_FOUND"
	// ReasonProjectNotFound is PROJECT_NOT_FOUND of the contract.
	ReasonProjectNotFound Reason = "PROJECT_NOT_FOUND"
	// ReasonInsufficientResources is INSUFFICIENT_RESOURCES of the contract.
	ReasonInsufficientResources Reason = "INSUFFICIENT_RESOURCES"
	// ReasonNoMachineAvailable is NO_MACHINE_AVAILABLE of the contract.
	ReasonNoMachineAvailable Reason = "NO_MACHINE_AVAILABLE"
	// ReasonAddressesExhausted is ADDRESSES_EXHAUSTED of the contract.
	ReasonAddressesExhausted Reason = "ADDRESSES_EXHAUSTED"
	// ReasonCompositionInProgress is COMPOSITION_IN_PROGRESS of the contract.
	ReasonCompositionInProgress Reason = "COMPOSITION_IN_PROGRESS"
	// ReasonDeletionInProgress is DELETION_IN_PROGRESS of the contract.
	ReasonDeletionInProgress Reason = "DELETION_IN_PROGRESS"
	// ReasonNotReady is NOT_READY of the contract.
	ReasonNotReady Reason = "NOT_READY"
	// ReasonMachineLocked is MACHINE_LOCKED of the contract.
	ReasonMachineLocked Reason = "MACHINE_LOCKED"
	// ReasonMAASBusy is MAAS_BUSY of the contract.
	ReasonMAASBusy Reason = "MAAS_BUSY"
	// ReasonMAASLostMachines is MAAS_LOST_MACHINES of the contract.
	ReasonMAASLostMachines Reason = "MAAS_LOST_MACHINES"
	// ReasonTooManyInFlight is TOO_MANY_IN_FLIGHT of the contract.
	ReasonTooManyInFlight Reason = "TOO_MANY_IN_FLIGHT"
	// ReasonAllocationInProgress is ALLOCATION_IN_PROGRESS of the contract.
	ReasonAllocationInProgress Reason = "ALLOCATION_IN_PROGRESS"
	// ReasonLXDHostUnavailable is LXD_HOST_UNAVAILABLE of the contract.
	ReasonLXDHostUnavailable Reason = "LXD_HOST_UNAVAILABLE"
	// ReasonVMCompositionFailed is VM_COMPOSITION_FAILED of the contract.
	ReasonVMCompositionFailed Reason = "VM_COMPOSITION_FAILED"
	// ReasonHostOvercommitted is HOST_OVERCOMMITTED of the contract.
	ReasonHostOvercommitted Reason = "HOST_OVERCOMMITTED"
	// ReasonStorageExhausted is STORAGE_EXHAUSTED of the contract.
	ReasonStorageExhausted Reason = "STORAGE_EXHAUSTED"
	// ReasonNetworkRefused is NETWORK_REFUSED of the contract.
	ReasonNetworkRefused Reason = "NETWORK_REFUSED"
	// ReasonVMDeploymentFailed is VM_DEPLOYMENT_FAILED of the contract.
	ReasonVMDeploymentFailed Reason = "VM_DEPLOYMENT_FAILED"
	// ReasonLXDTooNewForMAAS is LXD_TOO_NEW_FOR_MAAS of the contract.
	ReasonLXDTooNewForMAAS Reason = "LXD_TOO_NEW_FOR_MAAS"
	// ReasonMAASUnavailable is MAAS_UNAVAILABLE of the contract.
	ReasonMAASUnavailable Reason = "MAAS_UNAVAILABLE"
	// ReasonOutcomeUnknown is OUTCOME_UNKNOWN of the contract.
	ReasonOutcomeUnknown Reason = "OUTCOME_UNKNOWN"
	// ReasonHostUnreachable is HOST_UNREACHABLE of the contract.
	ReasonHostUnreachable Reason = "HOST_UNREACHABLE"
	// ReasonNameTaken is NAME_TAKEN of the contract.
	ReasonNameTaken Reason = "NAME_TAKEN"
	// ReasonMAASKeyRefused is MAAS_KEY_REFUSED of the contract.
	ReasonMAASKeyRefused Reason = "MAAS_KEY_REFUSED"
	// ReasonMAASRightsMissing is MAAS_RIGHTS_MISSING of the contract.
	ReasonMAASRightsMissing Reason = "MAAS_RIGHTS_MISSING"
	// ReasonMAASVMHostRemoved is MAAS_VMHOST_REMOVED of the contract.
	ReasonMAASVMHostRemoved Reason = "MAAS_VMHOST_REMOVED"
	// ReasonNotSupported is NOT_SUPPORTED of the contract.
	ReasonNotSupported Reason = "NOT_SUPPORTED"
	// ReasonInternal is INTERNAL of the contract.
	ReasonInternal Reason = "INTERNAL"
	// ReasonCallerNotAllowed is CALLER_NOT_ALLOWED of the contract.
	ReasonCallerNotAllowed Reason = "CALLER_NOT_ALLOWED"
)

// Reasons lists every reason, for tests that walk them.
func Reasons() []Reason {
	return []Reason{
		ReasonBadRequest,
		ReasonBadResources,
		ReasonImageNotFound,
		ReasonBadUserData,
		ReasonStaticIPInvalid,
		ReasonStaticIPGatewayMismatch,
		ReasonStaticIPDNSMismatch,
		ReasonStaticIPTaken,
		ReasonDeploymentRefused,
		ReasonSubnetNotFound,
		ReasonDomainNotFound,
		ReasonVMNotFound,
		ReasonMachineNotFound,
		ReasonEndpointNotFound,
		ReasonNoHosts,
		ReasonNoHostInPool,
		ReasonNoHostInZone,
		ReasonNoHostMatches,
		ReasonZoneNotFound,
		ReasonPoolNotFound,
		ReasonStoragePoolNotFound,
		ReasonProfileNotFound,
		ReasonProjectNotFound,
		ReasonInsufficientResources,
		ReasonNoMachineAvailable,
		ReasonAddressesExhausted,
		ReasonCompositionInProgress,
		ReasonDeletionInProgress,
		ReasonNotReady,
		ReasonMachineLocked,
		ReasonMAASBusy,
		ReasonMAASLostMachines,
		ReasonTooManyInFlight,
		ReasonAllocationInProgress,
		ReasonLXDHostUnavailable,
		ReasonVMCompositionFailed,
		ReasonHostOvercommitted,
		ReasonStorageExhausted,
		ReasonNetworkRefused,
		ReasonVMDeploymentFailed,
		ReasonLXDTooNewForMAAS,
		ReasonMAASUnavailable,
		ReasonOutcomeUnknown,
		ReasonHostUnreachable,
		ReasonNameTaken,
		ReasonMAASKeyRefused,
		ReasonMAASRightsMissing,
		ReasonMAASVMHostRemoved,
		ReasonNotSupported,
		ReasonInternal,
		ReasonCallerNotAllowed,
	}
}
