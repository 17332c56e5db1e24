package scenario

import (
	"context"
	"fmt"
	"maps"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
)

// resting is for how long a cluster at which nothing happens has to write nothing.
const resting = 30 * time.Second

// awaitRest waits until nobody writes our objects any more: a controller that wakes itself by what it writes never comes to rest.
func (r *Run) awaitRest(ctx context.Context) error {
	var before map[string]string
	var since time.Time
	err := r.await(ctx, "our objects to come to rest", func(ctx context.Context) error {
		now, err := r.versions(ctx)
		if err != nil {
			return err
		}
		if !maps.Equal(before, now) {
			before, since = now, r.Now()
		}
		if left := resting - r.Now().Sub(since); left > 0 {
			return fmt.Errorf("%s are left", left)
		}
		return nil
	})
	if err == nil {
		r.Timeline.Sayf("nothing of ours was written for %s", resting)
	}
	return err
}

// versions are the resource versions of our objects.
func (r *Run) versions(ctx context.Context) (map[string]string, error) {
	var clusters infrav1.MaasClusterList
	var machines infrav1.MaasMachineList
	for _, list := range []client.ObjectList{&clusters, &machines} {
		if err := r.management.Client.List(ctx, list, client.InNamespace(namespace)); err != nil {
			return nil, err
		}
	}
	all := make(map[string]string)
	for _, c := range clusters.Items {
		all["cluster "+c.Name] = c.ResourceVersion
	}
	for _, m := range machines.Items {
		all["machine "+m.Name] = m.ResourceVersion
	}
	return all, nil
}
