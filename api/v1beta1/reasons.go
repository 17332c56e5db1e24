package v1beta1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// noReasonReported is what Cluster API gives a condition that came without a reason.
const noReasonReported = "NoReasonReported"

// withReasons gives a reason to each condition that has none. Objects that were written under the v1beta1 contract hold such
// conditions, and the API server refuses every list in which one is left.
func withReasons(conditions []metav1.Condition) []metav1.Condition {
	for i := range conditions {
		if conditions[i].Reason == "" {
			conditions[i].Reason = noReasonReported
		}
	}
	return conditions
}
