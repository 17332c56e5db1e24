package maascluster

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/uuid"
	"sigs.k8s.io/cluster-api/util/conditions"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/controllers/internal/endpoint"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

const (
	// defaultPort is Kubernetes' own.
	defaultPort = 6443
	// recordTTL is the record's time to live in seconds: short, because members come and go.
	recordTTL = 10
	// longestLabel is the longest part of the record's name before "-" and six characters: 63 together.
	longestLabel = 56
)

// ensureIdentity stores what everything else is named by before anything is made: the cluster's id, which stands on its
// machines in MAAS, and the control plane's endpoint. One patch, with optimistic lock: two managers must not choose twice.
func (r *Reconciler) ensureIdentity(ctx context.Context, s *scope) error {
	before := s.infra.DeepCopy()
	if s.infra.Annotations[infrav1.ClusterIDAnnotation] == "" {
		annotate(s.infra, infrav1.ClusterIDAnnotation, string(uuid.NewUUID()))
	}
	s.custom = endpoint.IsCustom(s.infra)
	wanted := &s.infra.Spec.ControlPlaneEndpoint
	if wanted.Host == "" {
		wanted.Host = r.hostFor(s)
	}
	if wanted.Host != "" {
		wanted.Port = portFor(s)
	}
	if before.Annotations[infrav1.ClusterIDAnnotation] != "" && before.Spec.ControlPlaneEndpoint == *wanted {
		return nil
	}
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := r.Client.Patch(ctx, s.infra, patch); err != nil {
		return fmt.Errorf("store the cluster's id and endpoint: %w", err)
	}
	return nil
}

// hostFor is the endpoint's host where the spec names none: the Cluster's, else the one that status remembers, else, if the
// record is ours to make, <cluster>-<6 characters>.<domain>. It is empty where somebody else has to fill it in.
func (r *Reconciler) hostFor(s *scope) string {
	known := cmp.Or(s.cluster.Spec.ControlPlaneEndpoint.Host, s.infra.Status.Network.DNSName)
	if known != "" || s.custom {
		return known
	}
	sum := sha256.Sum256([]byte(s.infra.Annotations[infrav1.ClusterIDAnnotation]))
	suffix := strings.ToLower(base32.StdEncoding.EncodeToString(sum[:]))[:6]
	label := strings.ReplaceAll(s.cluster.Name, ".", "-")
	label = strings.TrimRight(label[:min(len(label), longestLabel)], "-")
	return label + "-" + suffix + "." + s.infra.Spec.DNSDomain
}

// portFor is the API server's port: the Cluster's, else the spec's, else 6443. An endpoint that the Cluster has taken over
// already keeps its port: it can't change any more.
func portFor(s *scope) int32 {
	return cmp.Or(s.cluster.Spec.ControlPlaneEndpoint.Port, s.cluster.Spec.ClusterNetwork.APIServerPort,
		s.infra.Spec.ControlPlaneEndpoint.Port, defaultPort)
}

func annotate(o client.Object, key, value string) {
	annotations := o.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[key] = value
	o.SetAnnotations(annotations)
}

// recordOf is the record's name in MAAS; it is false where the host is no label of the domain.
func recordOf(infra *infrav1.MaasCluster) (*lxdprovisionerv1.EndpointRef, bool) {
	label, ok := strings.CutSuffix(infra.Spec.ControlPlaneEndpoint.Host, "."+infra.Spec.DNSDomain)
	if !ok || label == "" || strings.Contains(label, ".") {
		return nil, false
	}
	return &lxdprovisionerv1.EndpointRef{Name: label, Domain: infra.Spec.DNSDomain}, true
}

// reconcileEndpoint makes the DNS record hold what it has to.
func (r *Reconciler) reconcileEndpoint(ctx context.Context, s *scope) (time.Duration, error) {
	host := s.infra.Spec.ControlPlaneEndpoint.Host
	s.infra.Status.Network.DNSName = host
	if host == "" {
		s.endpoint = problem{infrav1.WaitForDNSNameReason, "waiting for somebody to fill in spec.controlPlaneEndpoint.host"}
		return 0, nil
	}
	if s.custom {
		s.recorded = true
		return 0, nil
	}
	ref, ok := recordOf(s.infra)
	if !ok {
		s.endpoint = problem{infrav1.LoadBalancerFailedReason, fmt.Sprintf(
			"%s is no name in the domain %s; change one of them, or set the annotation %s if somebody else keeps the record",
			host, s.infra.Spec.DNSDomain, infrav1.CustomDNSProvidedAnnotation)}
		return 0, nil
	}
	if after, err := r.takeOverRecord(ctx, s, ref); err != nil || !s.endpoint.isZero() {
		return after, err
	}
	wanted, after, err := r.members(ctx, s)
	if err != nil {
		return 0, err
	}
	next, err := r.writeRecord(ctx, s, ref, wanted)
	if err != nil {
		return 0, err
	}
	if next == 0 || (after > 0 && after < next) {
		next = after
	}
	return next, nil
}

// writeRecord gives the record the wanted addresses, unless it was given them lately.
func (r *Reconciler) writeRecord(ctx context.Context, s *scope, ref *lxdprovisionerv1.EndpointRef, wanted []string) (time.Duration, error) {
	last, known := r.written.get(s.infra.UID)
	same := known && endpoint.Format(wanted) == endpoint.Format(last.addresses) && r.Clock().Sub(last.at) < r.Delays.Idle
	if !same {
		if held := r.heldBack(s); held > 0 {
			return held, nil
		}
		ttl := int32(recordTTL)
		answer, err := r.Provisioner.Region.EnsureEndpoint(ctx, &lxdprovisionerv1.EnsureEndpointRequest{
			Ref: ref, Addresses: wanted, TtlSeconds: &ttl,
		})
		found, after := r.outcome(ctx, s, err)
		if !found.isZero() {
			s.endpoint = found
			return after, nil
		}
		r.written.note(s.infra.UID, wanted, r.Clock())
		if answer.GetChanged() {
			ctrl.LoggerFrom(ctx).Info("Changed the DNS record", "name", ref.GetName(), "domain", ref.GetDomain(), "addresses", wanted)
		}
	}
	s.recorded = true
	if endpoint.Format(wanted) == endpoint.Format(endpoint.Recorded(s.infra)) {
		return 0, nil
	}
	before := s.infra.DeepCopy()
	annotate(s.infra, endpoint.AddressesAnnotation, endpoint.Format(wanted))
	return 0, r.patchAnnotations(ctx, s.infra, before)
}

// heldBack is for how long MAAS is not asked about the record after a failure, and lets the condition say what failed; 0 where it may
// be asked.
func (r *Reconciler) heldBack(s *scope) time.Duration {
	held := r.Backoff.Remaining(s.infra.UID, s.infra.Generation)
	if held > 0 {
		s.endpoint = s.lastProblem()
	}
	return held
}

// lastProblem is what the condition says is wrong with the record, for a reconcile that is held back.
func (s *scope) lastProblem() problem {
	last := conditions.Get(s.infra, infrav1.LoadBalancerReadyCondition)
	if last == nil || last.Status == metav1.ConditionTrue {
		return problem{infrav1.LoadBalancerFailedReason, "waiting after a failure to write the DNS record"}
	}
	return problem{infrav1.LoadBalancerFailedReason, last.Message}
}

// patchAnnotations writes the annotations by a patch of their own and leaves the rest of the object as it is in memory.
func (r *Reconciler) patchAnnotations(ctx context.Context, infra, before *infrav1.MaasCluster) error {
	after := before.DeepCopy()
	after.Annotations = infra.Annotations
	if err := r.Client.Patch(ctx, after, client.MergeFrom(before)); err != nil {
		return fmt.Errorf("store the addresses of the DNS record: %w", err)
	}
	return nil
}

// recorded are the addresses that the record was last given: by us, or by whoever kept it before.
func (r *Reconciler) recorded(s *scope) []string {
	if last, ok := r.written.get(s.infra.UID); ok {
		return last.addresses
	}
	if s.found != nil {
		return s.found
	}
	return endpoint.Recorded(s.infra)
}

// takeOverRecord reads the record of a cluster that has machines and no note of ours of its addresses: the existing provider kept
// it, or the note was lost with the object's annotations. What it holds stays in it (docs/protocol-coverage.md 8.2): the machines
// may not have been taken over yet, and those that no probe reaches never join again.
func (r *Reconciler) takeOverRecord(ctx context.Context, s *scope, ref *lxdprovisionerv1.EndpointRef) (time.Duration, error) {
	_, noted := s.infra.Annotations[endpoint.AddressesAnnotation]
	if _, written := r.written.get(s.infra.UID); noted || written {
		return 0, nil
	}
	if held := r.heldBack(s); held > 0 {
		return held, nil
	}
	machines, _, err := r.controlPlane(ctx, s)
	if err != nil || !slices.ContainsFunc(machines, func(m *infrav1.MaasMachine) bool { return m.Spec.ProviderID != nil }) {
		return 0, err
	}
	answer, err := r.Provisioner.Region.GetEndpoint(ctx, &lxdprovisionerv1.GetEndpointRequest{Ref: ref})
	if r.Delays.Of(err).Is(lxdprovisionerv1.Reason_REASON_ENDPOINT_NOT_FOUND) {
		return 0, nil
	}
	if err != nil {
		var after time.Duration
		s.endpoint, after = r.outcome(ctx, s, err)
		return after, nil
	}
	s.found = answer.GetEndpoint().GetAddresses()
	return 0, nil
}

func (w *writtenRecords) get(uid types.UID) (writtenRecord, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	last, ok := w.all[uid]
	return last, ok
}

func (w *writtenRecords) note(uid types.UID, addresses []string, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all == nil {
		w.all = map[types.UID]writtenRecord{}
	}
	w.all[uid] = writtenRecord{addresses: addresses, at: now}
}

func (w *writtenRecords) forget(uid types.UID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.all, uid)
}
