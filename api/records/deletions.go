package records

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
)

// Deletion is what one MaasMachine left to be deleted, as PendingDeletionsAnnotation holds it.
type Deletion struct {
	// Machine and UID are the MaasMachine's.
	Machine string    `json:"machine"`
	UID     types.UID `json:"uid"`
	// VMs are the names, each with its host: "cp-0-a1b2c on lxd-3".
	VMs []string `json:"vms"`
	// Since is when it was handed over.
	Since metav1.Time `json:"since"`
	// Request is the DeleteVMRequest in JSON, without what is known of the hosts.
	Request json.RawMessage `json:"request"`
}

// on stands between a VM's name and its host.
const on = " on "

// mostNamed is how many VMs a sentence names: a condition has room for 32,768 characters and an event for 1,024.
const mostNamed = 10

// Enumerate names the first ten, and says how many there are besides.
func Enumerate(names []string) string {
	first := names[:min(len(names), mostNamed)]
	if more := len(names) - len(first); more > 0 {
		first = append(slices.Clone(first), fmt.Sprintf("and %d more", more))
	}
	return strings.Join(first, ", ")
}

// Placed gives a VM's name with its host, as Deletion and Abandoned hold it.
func Placed(vm, host string) string { return vm + on + host }

// Names gives the names of the VMs that the request asks to be deleted.
func (d Deletion) Names() ([]string, error) {
	var request struct {
		Attempts []struct {
			Name string `json:"name"`
		} `json:"attempts"`
	}
	if err := json.Unmarshal(d.Request, &request); err != nil {
		return nil, fmt.Errorf("decode the pending deletion of %s: %w", d.Machine, err)
	}
	names := make([]string, 0, len(request.Attempts))
	for _, a := range request.Attempts {
		names = append(names, a.Name)
	}
	return names, nil
}

// Is says whether a name is that of the MaasMachine or of one of the VMs.
func (d Deletion) Is(name string) bool {
	return d.Machine == name || slices.ContainsFunc(d.VMs, func(vm string) bool {
		bare, _, _ := strings.Cut(vm, on)
		return bare == name
	})
}

// Abandoned is what an operator gave up, as AbandonedVMsAnnotation holds it.
type Abandoned struct {
	// Machine is the MaasMachine's name.
	Machine string `json:"machine"`
	// VMs are the names, each with its host.
	VMs []string `json:"vms"`
	// Reason is the operator's.
	Reason string `json:"reason"`
	// At is when.
	At metav1.Time `json:"at"`
}

// Deletions reads a cluster's list of pending deletions.
func Deletions(c *infrav1.MaasCluster) ([]Deletion, error) {
	return read[Deletion](c, infrav1.PendingDeletionsAnnotation)
}

// SetDeletions puts the list into the cluster's annotation.
func SetDeletions(c *infrav1.MaasCluster, all []Deletion) error {
	return write(c, infrav1.PendingDeletionsAnnotation, all)
}

// AbandonedVMs reads a cluster's list of VMs that were given up.
func AbandonedVMs(c *infrav1.MaasCluster) ([]Abandoned, error) {
	return read[Abandoned](c, infrav1.AbandonedVMsAnnotation)
}

// SetAbandonedVMs puts the list into the cluster's annotation.
func SetAbandonedVMs(c *infrav1.MaasCluster, all []Abandoned) error {
	return write(c, infrav1.AbandonedVMsAnnotation, all)
}

// UnconfirmedShare is which part of a cluster's VMs may be deleted on request without being confirmed: one in so many.
const UnconfirmedShare = 10

// Unwanted gives the names that a cluster's RemoveOrphansAnnotation asks to be deleted, each once, in their order.
func Unwanted(c *infrav1.MaasCluster) []string {
	names := strings.FieldsFunc(c.Annotations[infrav1.RemoveOrphansAnnotation], func(r rune) bool { return r == ',' || unicode.IsSpace(r) })
	slices.Sort(names)
	return slices.Compact(names)
}
