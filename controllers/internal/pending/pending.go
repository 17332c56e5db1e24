// Package pending keeps, in annotations of a MaasCluster, which VMs are still to be deleted although their MaasMachines are
// gone, and which ones were given up. The lists are the durable record without which no machine is let go unproved
// (docs/protocol-coverage.md 4.6), so they are written with optimistic lock to an object that was read uncached.
package pending

import (
	"context"
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protojson"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/capmaas/capmaas/api/records"
	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// NewDeletion makes the entry of a machine whose attempts are named in the request. What the request says of hosts is left
// out: it is found out anew whenever the deletion is tried.
func NewDeletion(machine string, uid types.UID, request *lxdprovisionerv1.DeleteVMRequest, since metav1.Time) (records.Deletion, error) {
	bare := &lxdprovisionerv1.DeleteVMRequest{Attempts: request.GetAttempts(), Owner: request.GetOwner()}
	text, err := protojson.Marshal(bare)
	if err != nil {
		return records.Deletion{}, fmt.Errorf("encode the deletion of %s: %w", machine, err)
	}
	return records.Deletion{Machine: machine, UID: uid, VMs: Names(request.GetAttempts()), Since: since, Request: text}, nil
}

// Names gives the VMs of attempts, each with its host.
func Names(attempts []*lxdprovisionerv1.Attempt) []string {
	names := make([]string, 0, len(attempts))
	for _, a := range attempts {
		names = append(names, records.Placed(a.GetName(), a.GetHostName()))
	}
	return names
}

// Request gives the request of an entry.
func Request(d records.Deletion) (*lxdprovisionerv1.DeleteVMRequest, error) {
	request := &lxdprovisionerv1.DeleteVMRequest{}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(d.Request, request); err != nil {
		return nil, fmt.Errorf("decode the pending deletion of %s: %w", d.Machine, err)
	}
	return request, nil
}

// HandedOver says whether the cluster ever had a list.
func HandedOver(cluster *infrav1.MaasCluster) bool {
	_, ok := cluster.Annotations[infrav1.PendingDeletionsAnnotation]
	return ok
}

// Describe names the VMs of a list in one line, the first ten of them.
func Describe(all []records.Deletion) string {
	var names []string
	for _, d := range all {
		names = append(names, d.VMs...)
	}
	return records.Enumerate(names)
}

// Store changes the lists of clusters.
type Store struct {
	// Client writes, Reader reads uncached.
	Client client.Client
	Reader client.Reader
}

// Add puts a deletion on the list, in place of an earlier one of the same machine.
func (s Store) Add(ctx context.Context, cluster client.ObjectKey, d records.Deletion) error {
	return s.changeDeletions(ctx, cluster, func(all []records.Deletion) []records.Deletion { return append(without(all, d.UID), d) })
}

// Remove takes the deletion of a machine off the list.
func (s Store) Remove(ctx context.Context, cluster client.ObjectKey, uid types.UID) error {
	return s.changeDeletions(ctx, cluster, func(all []records.Deletion) []records.Deletion { return without(all, uid) })
}

// Abandon puts what was given up on the other list.
func (s Store) Abandon(ctx context.Context, cluster client.ObjectKey, a records.Abandoned) error {
	return s.change(ctx, cluster, func(c *infrav1.MaasCluster) error {
		all, err := records.AbandonedVMs(c)
		if err != nil {
			return err
		}
		for _, other := range all {
			if other.Machine == a.Machine && slices.Equal(other.VMs, a.VMs) {
				return nil
			}
		}
		return records.SetAbandonedVMs(c, append(all, a))
	})
}

func without(all []records.Deletion, uid types.UID) []records.Deletion {
	return slices.DeleteFunc(slices.Clone(all), func(d records.Deletion) bool { return d.UID == uid })
}

func (s Store) changeDeletions(ctx context.Context, key client.ObjectKey, edit func([]records.Deletion) []records.Deletion) error {
	return s.change(ctx, key, func(c *infrav1.MaasCluster) error {
		all, err := records.Deletions(c)
		if err != nil {
			return err
		}
		return records.SetDeletions(c, edit(all))
	})
}

func (s Store) change(ctx context.Context, key client.ObjectKey, edit func(*infrav1.MaasCluster) error) error {
	cluster := &infrav1.MaasCluster{}
	if err := s.Reader.Get(ctx, key, cluster); err != nil {
		return fmt.Errorf("read MaasCluster %s uncached: %w", key, err)
	}
	before := cluster.DeepCopy()
	if err := edit(cluster); err != nil {
		return err
	}
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := s.Client.Patch(ctx, cluster, patch); err != nil {
		return fmt.Errorf("store the lists of MaasCluster %s: %w", key, err)
	}
	return nil
}
