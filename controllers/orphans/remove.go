package orphans

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/capmaas/capmaas/api/records"
	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/controllers/internal/pending"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// takeUp takes up the requests to remove orphans that stand on the clusters of this sweep.
func (s *Sweep) takeUp(ctx context.Context, report Report, clusters []cluster) error {
	var all []error
	for i := range clusters {
		one := &clusters[i]
		if one.ours && !one.paused && one.infra.Annotations[infrav1.RemoveOrphansAnnotation] != "" {
			all = append(all, s.answer(ctx, report, one))
		}
	}
	return errors.Join(all...)
}

// answer accepts or refuses one cluster's request as a whole, or leaves it to a later sweep.
func (s *Sweep) answer(ctx context.Context, report Report, c *cluster) error {
	log := ctrl.LoggerFrom(ctx).WithValues("MaasCluster", klog.KObj(c.infra))
	asked, err := requested(c.infra)
	if err != nil {
		return err
	}
	chosen, early, unknown := report.pick(c, asked)
	refusal := report.refusal(c, asked, unknown)
	switch {
	case refusal != "":
		log.Info("Refusing to remove orphans", "vms", asked, "why", refusal)
		s.event(c, corev1.EventTypeWarning, "OrphanRemovalRefused", "%s", refusal)
		requests.WithLabelValues("refused").Inc()
	case len(early) > 0:
		log.Info("Waiting before removing orphans, they have not been seen for long enough", "vms", early)
		return nil
	default:
		if err := s.handOver(ctx, c, chosen); err != nil {
			return err
		}
		log.Info("Handing orphans over to be deleted", "vms", asked)
		s.event(c, corev1.EventTypeNormal, "OrphanRemoval", "removed on request: %s", describe(chosen))
		requests.WithLabelValues("accepted").Inc()
	}
	return s.forgetRequest(ctx, c)
}

// requested are the names that the annotation holds, but for those that stand on the list of pending deletions already: a
// manager that died before it removed the annotation had granted them.
func requested(infra *infrav1.MaasCluster) ([]string, error) {
	listed, err := pendingNames(infra)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(records.Unwanted(infra), func(name string) bool { return slices.Contains(listed, name) }), nil
}

// pick divides what is asked for into what may be removed, what may be later, and what is no orphan of the cluster.
func (r Report) pick(c *cluster, asked []string) (chosen []Found, early, unknown []string) {
	for _, name := range asked {
		i := slices.IndexFunc(r.Found, func(f Found) bool { return f.cluster == c && f.VM.GetName() == name })
		switch {
		case i < 0:
			unknown = append(unknown, name)
		case r.Found[i].Kind == Suspect:
			early = append(early, name)
		default:
			chosen = append(chosen, r.Found[i])
		}
	}
	return chosen, early, unknown
}

// refusal says why a request is not granted; empty where it is.
func (r Report) refusal(c *cluster, asked, unknown []string) string {
	if len(unknown) > 0 {
		return "no orphans of this cluster: " + strings.Join(unknown, ", ")
	}
	all := r.marked[c.infra.Annotations[infrav1.ClusterIDAnnotation]]
	confirmed := c.infra.Annotations[infrav1.ConfirmRemoveOrphansAnnotation]
	if len(asked)*records.UnconfirmedShare > all && confirmed != strconv.Itoa(len(asked)) {
		return fmt.Sprintf("%d of the cluster's %d VMs are more than a tenth: confirm with the annotation %s=%d",
			len(asked), all, infrav1.ConfirmRemoveOrphansAnnotation, len(asked))
	}
	return ""
}

// handOver puts the VMs on the cluster's list of pending deletions, which is worked off like every other: with proof.
func (s *Sweep) handOver(ctx context.Context, c *cluster, chosen []Found) error {
	lists := pending.Store{Client: s.Client, Reader: s.Reader}
	for _, f := range chosen {
		mark := f.VM.GetStatus().GetOwner()
		// The attempt is long over: it was sent before the VM was first seen.
		attempt := &lxdprovisionerv1.Attempt{
			Number: 1, Name: f.VM.GetName(), HostId: f.VM.GetHostId(), HostName: f.VM.GetHostName(), SystemId: f.VM.GetSystemId(),
			SentAt: timestamppb.New(f.Since), Settled: true,
		}
		request := &lxdprovisionerv1.DeleteVMRequest{Attempts: []*lxdprovisionerv1.Attempt{attempt}, Owner: mark}
		// Several orphans may be of one MaasMachine; each is an entry of its own. The id goes down to MAAS with the deletion's calls.
		entry, err := pending.NewDeletion(mark.GetMachine(), types.UID("orphan:"+f.VM.GetSystemId()), request, metav1.NewTime(s.Clock()))
		if err != nil {
			return err
		}
		if err := lists.Add(ctx, client.ObjectKeyFromObject(c.infra), entry); err != nil {
			return err
		}
	}
	return nil
}

// forgetRequest removes the request, unless somebody has changed it since it was read.
func (s *Sweep) forgetRequest(ctx context.Context, c *cluster) error {
	infra := &infrav1.MaasCluster{}
	if err := s.Reader.Get(ctx, client.ObjectKeyFromObject(c.infra), infra); err != nil {
		return client.IgnoreNotFound(err)
	}
	if infra.Annotations[infrav1.RemoveOrphansAnnotation] != c.infra.Annotations[infrav1.RemoveOrphansAnnotation] {
		return nil
	}
	before := infra.DeepCopy()
	delete(infra.Annotations, infrav1.RemoveOrphansAnnotation)
	delete(infra.Annotations, infrav1.ConfirmRemoveOrphansAnnotation)
	if err := s.Client.Patch(ctx, infra, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("remove the request for orphans from MaasCluster %s/%s: %w", infra.Namespace, infra.Name, err)
	}
	return nil
}
