package cluster

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/timestamppb"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// Attempt is one stored try to make a VM, as ComposeAttemptsAnnotation holds it.
type Attempt struct {
	Number   int32        `json:"attempt"`
	Name     string       `json:"name"`
	HostID   string       `json:"hostID"`
	HostName string       `json:"hostName"`
	SystemID string       `json:"systemID,omitempty"`
	SentAt   *metav1.Time `json:"sentAt,omitempty"`
	Settled  bool         `json:"settled,omitempty"`
	GivenUp  bool         `json:"givenUp,omitempty"`
	Yielded  bool         `json:"yielded,omitempty"`
	Resent   int          `json:"resent,omitempty"`
}

// Outcome says in a few words what came of the attempt.
func (a Attempt) Outcome() string {
	switch {
	case a.Yielded:
		return "yielded to others on a full host"
	case a.GivenUp && a.Settled && a.SystemID == "":
		return "given up, nothing was made"
	case a.GivenUp && a.Settled:
		return "given up, its VM is gone"
	case a.GivenUp:
		return "given up, to be checked"
	case a.SystemID != "":
		return "in use"
	case a.SentAt != nil:
		return "sent, not seen yet"
	default:
		return "stored, not sent"
	}
}

// Proto is the attempt as the service takes it.
func (a Attempt) Proto() *lxdprovisionerv1.Attempt {
	p := &lxdprovisionerv1.Attempt{
		Number: a.Number, Name: a.Name, HostId: a.HostID, HostName: a.HostName, SystemId: a.SystemID, Settled: a.Settled,
	}
	if a.SentAt != nil {
		p.SentAt = timestamppb.New(a.SentAt.Time)
	}
	return p
}

// Attempts reads the attempts of a machine, oldest first.
func Attempts(m *infrav1.MaasMachine) ([]Attempt, error) {
	return read[Attempt](m, infrav1.ComposeAttemptsAnnotation)
}

// Deletion is an entry of PendingDeletionsAnnotation: the VMs of one MaasMachine that are still to be deleted.
type Deletion struct {
	Machine string          `json:"machine"`
	UID     types.UID       `json:"uid"`
	VMs     []string        `json:"vms"`
	Since   metav1.Time     `json:"since"`
	Request json.RawMessage `json:"request"`
}

// Names gives the names of the entry's VMs, without their hosts.
func (d Deletion) Names() ([]string, error) {
	request := &lxdprovisionerv1.DeleteVMRequest{}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(d.Request, request); err != nil {
		return nil, fmt.Errorf("decode the pending deletion of %s: %w", d.Machine, err)
	}
	names := make([]string, 0, len(request.GetAttempts()))
	for _, a := range request.GetAttempts() {
		names = append(names, a.GetName())
	}
	return names, nil
}

// Abandoned is an entry of AbandonedVMsAnnotation: VMs that somebody gave up.
type Abandoned struct {
	Machine string      `json:"machine"`
	VMs     []string    `json:"vms"`
	Reason  string      `json:"reason"`
	At      metav1.Time `json:"at"`
}

// Deletions reads a cluster's list of pending deletions.
func Deletions(c *infrav1.MaasCluster) ([]Deletion, error) {
	return read[Deletion](c, infrav1.PendingDeletionsAnnotation)
}

// AbandonedVMs reads a cluster's list of VMs that were given up.
func AbandonedVMs(c *infrav1.MaasCluster) ([]Abandoned, error) {
	return read[Abandoned](c, infrav1.AbandonedVMsAnnotation)
}

// Requested gives the names that a cluster's request to remove orphans holds.
func Requested(c *infrav1.MaasCluster) []string {
	names := strings.FieldsFunc(c.Annotations[infrav1.RemoveOrphansAnnotation], func(r rune) bool { return strings.ContainsRune(", \t\n", r) })
	slices.Sort(names)
	return slices.Compact(names)
}

// VMNames gives the names of all VMs that were or may be made for a machine, that of the existing provider among them.
func VMNames(m *infrav1.MaasMachine) ([]string, error) {
	all, err := Attempts(m)
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(all)+1)
	for _, a := range all {
		names = append(names, a.Name)
	}
	if first := m.Annotations[infrav1.VMNameAnnotation]; first != "" {
		names = append(names, first)
	}
	return names, nil
}

func read[T any](o metav1.Object, annotation string) ([]T, error) {
	text := o.GetAnnotations()[annotation]
	if text == "" {
		return nil, nil
	}
	var all []T
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		return nil, fmt.Errorf("decode annotation %s of %s/%s: %w", annotation, o.GetNamespace(), o.GetName(), err)
	}
	return all, nil
}
