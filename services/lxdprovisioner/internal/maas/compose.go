package maas

import (
	"context"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
)

var (
	// hostLabels are the names that MAAS and LXD both take. MAAS replaces a dotted one by a random one.
	hostLabels = regexp.MustCompile(`^[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$`)
	// constraintValues are what can be said in MAAS's constraint language, which has no quoting.
	constraintValues = regexp.MustCompile(`^[A-Za-z0-9_.:/-]+$`)
	nicLabels        = regexp.MustCompile(`^[a-z][a-z0-9]{0,14}$`)
)

// ComposeForm is one composition, with everything that MAAS would otherwise choose by itself.
type ComposeForm struct {
	// Hostname is also the name of the LXD instance.
	Hostname string
	// Size is cores, memory and disks; the first disk is the root disk.
	Size inventory.VMSize
	// ZoneID and PoolID are always sent: by default MAAS takes its default zone, not the host's.
	ZoneID int
	PoolID int
	// Architecture is one of the host's, literally, for example "amd64/generic".
	Architecture string
	// NICs are in order; none leaves the choice of one bridge to MAAS.
	NICs []ComposeNIC
	// SkipCommissioning makes the VM Ready at once.
	SkipCommissioning bool
}

// ComposeNIC asks for one NIC by the host's side of it. Bridge wins over VLANID, which wins over Fabric.
type ComposeNIC struct {
	// Name is the NIC's, for example "eth0".
	Name string
	// Bridge is the name of the host's interface.
	Bridge string
	// VLANID is MAAS's id of the VLAN; 0 for none.
	VLANID int
	// Fabric is the name of the fabric, with VID the VLAN tag in it; nil for any.
	Fabric string
	VID    *int
}

// Compose makes a VM and gives its system id. It is not idempotent and sent once (docs/protocol-coverage.md 2):
//   - Refused: the host did not make it; another host may be tried.
//   - Invalid: no host will make it.
//   - Unavailable with OUTCOME_UNKNOWN: the VM may exist, or its name exists already.
//   - Denied, Unsupported, Busy: nothing was made.
func (c *Client) Compose(ctx context.Context, host inventory.HostID, f ComposeForm) (string, error) {
	n, err := VMHostNumber(host)
	if err != nil {
		return "", err
	}
	form, err := f.values()
	if err != nil {
		return "", err
	}
	var answer composedJSON
	if err := c.call(ctx, ask{op: opCompose, ids: []string{decimal(n)}, values: form, read: one(&answer), host: host}); err != nil {
		return "", fmt.Errorf("compose %s on %s: %w", f.Hostname, host, err)
	}
	return answer.SystemID, nil
}

type composedJSON struct {
	SystemID string `json:"system_id"`
}

func (a *composedJSON) check() *unfit {
	if !systemIDs.MatchString(a.SystemID) {
		return &unfit{"system_id", "is no system id"}
	}
	return nil
}

func (f *ComposeForm) values() (url.Values, error) {
	storage, err := storageConstraint(f.Size.Disks)
	if err != nil {
		return nil, err
	}
	nics, err := interfacesConstraint(f.NICs)
	if err != nil {
		return nil, err
	}
	switch {
	case !hostLabels.MatchString(f.Hostname):
		return nil, fault.New(fault.Invalid, fault.ReasonBadRequest, "VM name %q is not a host name without dots of at most 63 characters", f.Hostname)
	case f.Size.Cores < 1 || f.Size.MemoryMiB < 1:
		return nil, fault.New(fault.Invalid, fault.ReasonBadResources, "%d cores and %d MiB of memory: want at least 1 of each", f.Size.Cores, f.Size.MemoryMiB)
	case f.Architecture == "" || f.ZoneID <= 0 || f.PoolID < 0:
		return nil, fault.New(fault.Invalid, fault.ReasonBadRequest, "a composition needs architecture %q, zone %d and pool %d", f.Architecture, f.ZoneID, f.PoolID)
	}
	form := url.Values{
		"hostname":     {f.Hostname},
		"cores":        {strconv.Itoa(f.Size.Cores)},
		"memory":       {strconv.FormatInt(f.Size.MemoryMiB, 10)},
		"zone":         {strconv.Itoa(f.ZoneID)},
		"pool":         {strconv.Itoa(f.PoolID)},
		"architecture": {f.Architecture},
		"storage":      {storage},
	}
	if nics != "" {
		form.Set("interfaces", nics)
	}
	if f.SkipCommissioning {
		form.Set("skip_commissioning", "true")
	}
	return form, nil
}

// storageConstraint says the disks in MAAS's language. The first group is the root disk, the rest
// MAAS sorts by their number of tags. A pool goes as a tag: MAAS takes the first pool of that name
// with room as it knows it, and falls to another pool silently, so the room is checked before.
func storageConstraint(disks []inventory.Disk) (string, error) {
	if len(disks) == 0 {
		return "", fault.New(fault.Invalid, fault.ReasonBadResources, "a VM needs a root disk")
	}
	groups := make([]string, 0, len(disks))
	for i, d := range disks {
		if d.SizeGB < 1 {
			return "", fault.New(fault.Invalid, fault.ReasonBadResources, "disk %d: %d GB, want at least 1", i, d.SizeGB)
		}
		label := "root"
		if i > 0 {
			label = "disk" + strconv.Itoa(i)
		}
		group := fmt.Sprintf("%s:%d", label, d.SizeGB)
		if d.StoragePool != "" {
			if !constraintValues.MatchString(d.StoragePool) {
				return "", fault.New(fault.Invalid, fault.ReasonBadRequest, "disk %d: MAAS can't be asked for a storage pool %q", i, d.StoragePool)
			}
			group += "(" + d.StoragePool + ")"
		}
		groups = append(groups, group)
	}
	return strings.Join(groups, ","), nil
}

// interfacesConstraint says the NICs in MAAS's language. It never asks by subnet, which only matches
// hosts with an address there, nor for an address, which MAAS checks after LXD has made the VM.
func interfacesConstraint(nics []ComposeNIC) (string, error) {
	groups := make([]string, 0, len(nics))
	for i, n := range nics {
		if !nicLabels.MatchString(n.Name) {
			return "", fault.New(fault.Invalid, fault.ReasonBadRequest, "NIC %d: %q is not a NIC's name", i, n.Name)
		}
		var want string
		switch {
		case n.Bridge != "" && constraintValues.MatchString(n.Bridge):
			want = "name=" + n.Bridge
		case n.Bridge == "" && n.VLANID > 0:
			want = "vlan=id:" + strconv.Itoa(n.VLANID)
		case n.Bridge == "" && n.Fabric != "" && constraintValues.MatchString(n.Fabric):
			want = "fabric=" + n.Fabric
			if n.VID != nil {
				want += ",vid=" + strconv.Itoa(*n.VID)
			}
		default:
			return "", fault.New(fault.Invalid, fault.ReasonBadRequest,
				"NIC %s: MAAS can't be asked for bridge %q, VLAN %d or fabric %q", n.Name, n.Bridge, n.VLANID, n.Fabric)
		}
		groups = append(groups, n.Name+":"+want)
	}
	return strings.Join(groups, ";"), nil
}
