// Package pending keeps, in annotations of a MaasCluster, which VMs are still to be deleted although their MaasMachines are
// gone, and which ones were given up. The lists are the durable record without which no machine is let go unproved
// (docs/protocol-coverage.md 4.6), so they are written with optimistic lock to an object that was read uncached.
package pending

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// Deletion is what one MaasMachine left to be deleted.
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

// Abandoned is what an operator gave up.
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

// NewDeletion makes the entry of a machine whose attempts are named in the request. What the request says of hosts is left
// out: it is found out anew whenever the deletion is tried.
func NewDeletion(machine string, uid types.UID, request *lxdprovisionerv1.DeleteVMRequest, since metav1.Time) (Deletion, error) {
	bare := &lxdprovisionerv1.DeleteVMRequest{Attempts: request.GetAttempts(), Owner: request.GetOwner()}
	text, err := protojson.Marshal(bare)
	if err != nil {
		return Deletion{}, fmt.Errorf("encode the deletion of %s: %w", machine, err)
	}
	return Deletion{Machine: machine, UID: uid, VMs: Names(request.GetAttempts()), Since: since, Request: text}, nil
}

// Names gives the VMs of attempts, each with its host.
func Names(attempts []*lxdprovisionerv1.Attempt) []string {
	names := make([]string, 0, len(attempts))
	for _, a := range attempts {
		names = append(names, a.GetName()+" on "+a.GetHostName())
	}
	return names
}

// Decode gives the request of the entry.
func (d Deletion) Decode() (*lxdprovisionerv1.DeleteVMRequest, error) {
	request := &lxdprovisionerv1.DeleteVMRequest{}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(d.Request, request); err != nil {
		return nil, fmt.Errorf("decode the pending deletion of %s: %w", d.Machine, err)
	}
	return request, nil
}

// Deletions reads a cluster's list.
func Deletions(cluster *infrav1.MaasCluster) ([]Deletion, error) {
	return read[Deletion](cluster, infrav1.PendingDeletionsAnnotation)
}

// HandedOver says whether the cluster ever had a list.
func HandedOver(cluster *infrav1.MaasCluster) bool {
	_, ok := cluster.Annotations[infrav1.PendingDeletionsAnnotation]
	return ok
}

// Describe names the VMs of a list in one line.
func Describe(all []Deletion) string {
	var names []string
	for _, d := range all {
		names = append(names, d.VMs...)
	}
	return strings.Join(names, ", ")
}

func read[T any](cluster *infrav1.MaasCluster, annotation string) ([]T, error) {
	text := cluster.Annotations[annotation]
	if text == "" {
		return nil, nil
	}
	var all []T
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		return nil, fmt.Errorf("decode annotation %s of MaasCluster %s/%s: %w", annotation, cluster.Namespace, cluster.Name, err)
	}
	return all, nil
}

// Store changes the lists of clusters.
type Store struct {
	// Client writes, Reader reads uncached.
	Client client.Client
	Reader client.Reader
}

// Add puts a deletion on the list, in place of an earlier one of the same machine.
func (s Store) Add(ctx context.Context, cluster client.ObjectKey, d Deletion) error {
	return change(ctx, s, cluster, infrav1.PendingDeletionsAnnotation, func(all []Deletion) []Deletion {
		return append(without(all, d.UID), d)
	})
}

// Remove takes the deletion of a machine off the list.
func (s Store) Remove(ctx context.Context, cluster client.ObjectKey, uid types.UID) error {
	return change(ctx, s, cluster, infrav1.PendingDeletionsAnnotation, func(all []Deletion) []Deletion { return without(all, uid) })
}

// Abandon puts what was given up on the other list.
func (s Store) Abandon(ctx context.Context, cluster client.ObjectKey, a Abandoned) error {
	return change(ctx, s, cluster, infrav1.AbandonedVMsAnnotation, func(all []Abandoned) []Abandoned {
		for _, other := range all {
			if other.Machine == a.Machine && strings.Join(other.VMs, ",") == strings.Join(a.VMs, ",") {
				return all
			}
		}
		return append(all, a)
	})
}

func without(all []Deletion, uid types.UID) []Deletion {
	kept := []Deletion{}
	for _, d := range all {
		if d.UID != uid {
			kept = append(kept, d)
		}
	}
	return kept
}

func change[T any](ctx context.Context, s Store, key client.ObjectKey, annotation string, edit func([]T) []T) error {
	cluster := &infrav1.MaasCluster{}
	if err := s.Reader.Get(ctx, key, cluster); err != nil {
		return fmt.Errorf("read MaasCluster %s uncached: %w", key, err)
	}
	all, err := read[T](cluster, annotation)
	if err != nil {
		return err
	}
	text, err := json.Marshal(edit(all))
	if err != nil {
		return fmt.Errorf("encode annotation %s: %w", annotation, err)
	}
	before := cluster.DeepCopy()
	if cluster.Annotations == nil {
		cluster.Annotations = map[string]string{}
	}
	cluster.Annotations[annotation] = string(text)
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := s.Client.Patch(ctx, cluster, patch); err != nil {
		return fmt.Errorf("store annotation %s of MaasCluster %s: %w", annotation, key, err)
	}
	return nil
}
