package placement

import "github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"

// Reason says why a host may not, or can't, take a VM. It equals a value of the contract's enum
// RejectionReason without the prefix REJECTION_REASON_.
type Reason string

// The reasons. reason.proto says what each means.
const (
	// NotLXD is NOT_LXD of the contract.
	NotLXD Reason = "NOT_LXD"
	// NotComposable is NOT_COMPOSABLE of the contract.
	NotComposable Reason = "NOT_COMPOSABLE"
	// LXDTooNewForMAAS is LXD_TOO_NEW_FOR_MAAS of the contract.
	LXDTooNewForMAAS Reason = "LXD_TOO_NEW_FOR_MAAS"
	// HostNotInventoried is HOST_NOT_INVENTORIED of the contract.
	HostNotInventoried Reason = "HOST_NOT_INVENTORIED"
	// HostPoweredOff is HOST_POWERED_OFF of the contract.
	HostPoweredOff Reason = "HOST_POWERED_OFF"
	// HostNotDeployed is HOST_NOT_DEPLOYED of the contract.
	HostNotDeployed Reason = "HOST_NOT_DEPLOYED"
	// HostMaintenance is HOST_MAINTENANCE of the contract.
	HostMaintenance Reason = "HOST_MAINTENANCE"
	// OtherPool is OTHER_POOL of the contract.
	OtherPool Reason = "OTHER_POOL"
	// OtherZone is OTHER_ZONE of the contract.
	OtherZone Reason = "OTHER_ZONE"
	// MissingTags is MISSING_TAGS of the contract.
	MissingTags Reason = "MISSING_TAGS"
	// OtherProject is OTHER_PROJECT of the contract.
	OtherProject Reason = "OTHER_PROJECT"
	// OtherArchitecture is OTHER_ARCHITECTURE of the contract.
	OtherArchitecture Reason = "OTHER_ARCHITECTURE"
	// NoStoragePool is STORAGE_POOL_MISSING of the contract.
	NoStoragePool Reason = "STORAGE_POOL_MISSING"
	// InsufficientStorage is INSUFFICIENT_STORAGE of the contract.
	InsufficientStorage Reason = "INSUFFICIENT_STORAGE"
	// InsufficientCores is INSUFFICIENT_CORES of the contract.
	InsufficientCores Reason = "INSUFFICIENT_CORES"
	// InsufficientMemory is INSUFFICIENT_MEMORY of the contract.
	InsufficientMemory Reason = "INSUFFICIENT_MEMORY"
	// NetworkMissing is NETWORK_MISSING of the contract.
	NetworkMissing Reason = "NETWORK_MISSING"
	// NotAllowed is NOT_ALLOWED of the contract.
	NotAllowed Reason = "NOT_ALLOWED"
	// Excluded is EXCLUDED of the contract.
	Excluded Reason = "EXCLUDED"
	// GroupOnHost is ANTI_AFFINITY of the contract.
	GroupOnHost Reason = "ANTI_AFFINITY"
	// BadTag is BAD_TAG of the contract.
	BadTag Reason = "BAD_TAG"
)

// Reasons lists every reason, for tests that walk them.
func Reasons() []Reason {
	return []Reason{
		NotLXD, NotComposable, LXDTooNewForMAAS, HostNotInventoried, HostPoweredOff, HostNotDeployed, HostMaintenance,
		OtherPool, OtherZone, MissingTags, OtherProject, OtherArchitecture, NoStoragePool, InsufficientStorage,
		InsufficientCores, InsufficientMemory, NetworkMissing, NotAllowed, Excluded, GroupOnHost, BadTag,
	}
}

// Rejection is a host that is out, and why.
type Rejection struct {
	HostID   inventory.HostID
	HostName string
	Zone     string
	Reason   Reason
	// Message says the same for a person, with numbers, for example "needs 16 GiB, has 12 GiB".
	Message string
}

// phrases are the reasons as a summary counts them: for one host and for several.
var phrases = map[Reason][2]string{
	NotLXD:              {"is not LXD", "are not LXD"},
	NotComposable:       {"is not composable", "are not composable"},
	LXDTooNewForMAAS:    {"has an LXD too new for MAAS", "have an LXD too new for MAAS"},
	HostNotInventoried:  {"is not inventoried", "are not inventoried"},
	HostPoweredOff:      {"is powered off", "are powered off"},
	HostNotDeployed:     {"is not deployed", "are not deployed"},
	HostMaintenance:     {"is under maintenance", "are under maintenance"},
	OtherPool:           {"is in another pool", "are in another pool"},
	OtherZone:           {"is in another zone", "are in another zone"},
	MissingTags:         {"lacks a tag", "lack a tag"},
	OtherProject:        {"has another project", "have another project"},
	OtherArchitecture:   {"has another architecture", "have another architecture"},
	NoStoragePool:       {"lacks the storage pool", "lack the storage pool"},
	InsufficientStorage: {"lacks storage", "lack storage"},
	InsufficientCores:   {"lacks cores", "lack cores"},
	InsufficientMemory:  {"lacks memory", "lack memory"},
	NetworkMissing:      {"lacks the network", "lack the network"},
	NotAllowed:          {"is not allowed", "are not allowed"},
	Excluded:            {"is excluded", "are excluded"},
	GroupOnHost:         {"has a VM of the group", "have a VM of the group"},
	BadTag:              {"has a bad tag", "have a bad tag"},
}
