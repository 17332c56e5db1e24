// Package watchfilter says which objects are this manager's, where several managers share a management cluster.
package watchfilter

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/cluster-api/util/labels"
)

// Passes says whether the object has the label cluster.x-k8s.io/watch-filter with the filter's value; every object passes an empty
// filter. The filter of a controller's events is not enough: an event of one object may be about another one.
func Passes(o metav1.Object, filter string) bool {
	return filter == "" || labels.HasWatchLabel(o, filter)
}
