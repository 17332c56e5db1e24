package maasmachine

import (
	"context"

	clusterctlv1 "sigs.k8s.io/cluster-api/cmd/clusterctl/api/v1alpha3"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
)

// blockMoveValue tells a block of ours from one that somebody else set.
const blockMoveValue = "capmaas"

// blocksMove says whether the object keeps clusterctl move waiting for us.
func blocksMove(m *infrav1.MaasMachine) bool {
	return m.Annotations[clusterctlv1.BlockMoveAnnotation] == blockMoveValue
}

// unblockMove lets clusterctl move go on, which pauses a cluster first and waits for the blocks to be lifted then. Nothing is
// asked or sent: the block ends once nothing that was sent can be under way any more. The attempt moves along as it is, and
// is settled where it comes to.
func (r *Reconciler) unblockMove(ctx context.Context, s *scope) (ctrl.Result, error) {
	rec, err := r.readRecord(ctx, client.ObjectKeyFromObject(s.machine))
	if err != nil {
		return ctrl.Result{}, err
	}
	if one := rec.attempts.current(); one != nil && !one.Settled && !one.GivenUp && one.SentAt != nil {
		if left := r.Delays.InFlight - r.Clock().Sub(one.SentAt.Time); left > 0 {
			return ctrl.Result{RequeueAfter: left}, nil
		}
	}
	return ctrl.Result{}, r.annotate(ctx, rec, func(annotations map[string]string) {
		if annotations[clusterctlv1.BlockMoveAnnotation] == blockMoveValue {
			delete(annotations, clusterctlv1.BlockMoveAnnotation)
		}
	})
}
