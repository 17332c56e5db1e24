package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/capmaas/capmaas/api/records"
	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
)

const (
	// refused is the reason of the manager's event on a request that it does not grant.
	refused = "OrphanRemovalRefused"
	// glance is the time between two looks at what became of a request.
	glance = time.Second
)

// Removal is a request to remove orphans of one MaasCluster, by the annotation that the manager takes up.
type Removal struct {
	access  *Access
	cluster client.ObjectKey
	told    map[string]int32
}

// AskToRemove writes the request. It is confirmed: who asks has been told how large a part it is. A request that stands there
// is added to, unless it holds other names that nobody has confirmed: this one would confirm them.
func (a *Access) AskToRemove(ctx context.Context, cluster client.ObjectKey, names []string) (*Removal, error) {
	r := &Removal{access: a, cluster: cluster}
	events, err := r.refusals(ctx)
	if err != nil {
		return nil, err
	}
	r.told = map[string]int32{}
	for _, e := range events {
		r.told[string(e.UID)] = countOf(&e)
	}
	return r, a.change(ctx, cluster, func(c *infrav1.MaasCluster) error {
		standing := records.Unwanted(c)
		others := slices.DeleteFunc(slices.Clone(standing), func(name string) bool { return slices.Contains(names, name) })
		if len(others) > 0 && c.Annotations[infrav1.ConfirmRemoveOrphansAnnotation] != strconv.Itoa(len(standing)) {
			return fmt.Errorf("a request to remove %s stands on MaasCluster %s that nobody has confirmed: name these too, or take its annotation %s away",
				strings.Join(others, ", "), cluster, infrav1.RemoveOrphansAnnotation)
		}
		all := append(standing, names...)
		slices.Sort(all)
		all = slices.Compact(all)
		c.Annotations[infrav1.RemoveOrphansAnnotation] = strings.Join(all, ",")
		c.Annotations[infrav1.ConfirmRemoveOrphansAnnotation] = strconv.Itoa(len(all))
		return nil
	})
}

// Wait waits until the manager has taken the request up, at most for so long. It gives the manager's words where it refused;
// taken is false where nothing has happened yet.
func (r *Removal) Wait(ctx context.Context, limit time.Duration) (refusal string, taken bool, err error) {
	err = wait.PollUntilContextTimeout(ctx, glance, limit, true, func(ctx context.Context) (bool, error) {
		c := &infrav1.MaasCluster{}
		if err := r.access.Client.Get(ctx, r.cluster, c); err != nil {
			return false, fmt.Errorf("read MaasCluster %s: %w", r.cluster, err)
		}
		return c.Annotations[infrav1.RemoveOrphansAnnotation] == "", nil
	})
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return "", false, nil
	}
	if err != nil {
		return "", false, err
	}
	events, err := r.refusals(ctx)
	if err != nil {
		return "", true, err
	}
	for _, e := range events {
		if countOf(&e) != r.told[string(e.UID)] {
			return e.Note, true, nil
		}
	}
	return "", true, nil
}

func (r *Removal) refusals(ctx context.Context) ([]eventsv1.Event, error) {
	list := &eventsv1.EventList{}
	err := r.access.Client.List(ctx, list, client.InNamespace(r.cluster.Namespace),
		client.MatchingFields{"regarding.name": r.cluster.Name, "regarding.kind": "MaasCluster", "reason": refused})
	if err != nil {
		return nil, fmt.Errorf("list the events of MaasCluster %s: %w", r.cluster, err)
	}
	return list.Items, nil
}

// countOf is how often an event has happened.
func countOf(e *eventsv1.Event) int32 {
	if e.Series != nil {
		return e.Series.Count
	}
	return 1
}

// Forget gives up a pending deletion, which is named by its MaasMachine or one of its VMs, and puts it on the list of what was
// given up. It gives the VMs.
func (a *Access) Forget(ctx context.Context, cluster client.ObjectKey, name, reason string, at time.Time) ([]string, error) {
	var given []string
	err := a.change(ctx, cluster, func(c *infrav1.MaasCluster) error {
		pending, err := records.Deletions(c)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(pending, func(d records.Deletion) bool { return d.Is(name) })
		if i < 0 {
			return fmt.Errorf("MaasCluster %s has no pending deletion of %s", cluster, name)
		}
		abandoned, err := records.AbandonedVMs(c)
		if err != nil {
			return err
		}
		given = pending[i].VMs
		abandoned = append(abandoned, records.Abandoned{Machine: pending[i].Machine, VMs: given, Reason: reason, At: metav1.NewTime(at)})
		return errors.Join(records.SetDeletions(c, slices.Delete(pending, i, i+1)), records.SetAbandonedVMs(c, abandoned))
	})
	return given, err
}

// change edits a MaasCluster as it is at that moment: where somebody else has written meanwhile, the edit is made anew.
func (a *Access) change(ctx context.Context, key client.ObjectKey, edit func(*infrav1.MaasCluster) error) error {
	return retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		c := &infrav1.MaasCluster{}
		if err := a.Client.Get(ctx, key, c); err != nil {
			return fmt.Errorf("read MaasCluster %s: %w", key, err)
		}
		before := c.DeepCopy()
		if c.Annotations == nil {
			c.Annotations = map[string]string{}
		}
		if err := edit(c); err != nil {
			return err
		}
		if err := a.Client.Patch(ctx, c, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
			return fmt.Errorf("write the annotations of MaasCluster %s: %w", key, err)
		}
		return nil
	})
}
