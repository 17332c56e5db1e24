package maascluster

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	controlplanev1 "sigs.k8s.io/cluster-api/api/controlplane/kubeadm/v1beta2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util/conditions"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/controllers/internal/endpoint"
	"github.com/capmaas/capmaas/controllers/internal/provisioner"
)

// member is a machine of the control plane that may be in the record.
type member struct {
	address string
	// in says that the record holds the address, leaving that the machine is being deleted.
	in, leaving bool
	// healthy says that the control plane's provider has found the API server healthy.
	healthy bool
	created time.Time
	// deployed is since when MAAS shows the machine Deployed; its zero value where that is not known.
	deployed time.Time
}

// members computes the record's addresses (docs/protocol-coverage.md 8.2) and, where a machine still has to join, when to look again.
func (r *Reconciler) members(ctx context.Context, s *scope) ([]string, time.Duration, error) {
	all, others, err := r.listMembers(ctx, s)
	if err != nil {
		return nil, 0, err
	}
	recorded := r.recorded(s)
	clusterGoes := !s.cluster.DeletionTimestamp.IsZero()
	kept := others.keep(all, recorded)
	if len(all) == 0 && others.skipped {
		return kept, others.lookAgain(r.Delays.Working), nil
	}
	wanted := append(staying(all, clusterGoes || others.unread && len(kept) > 0), kept...)
	var outside []member
	for _, m := range all {
		if !m.in && !m.leaving {
			outside = append(outside, m)
		}
	}
	slices.SortFunc(outside, func(a, b member) int { return a.created.Compare(b.created) })
	if len(wanted) == 0 && len(outside) > 0 {
		// The first one is believed without a probe: nothing can reach its API server before the record names it.
		wanted, outside = []string{outside[0].address}, outside[1:]
	}
	joining, silent := r.answering(ctx, outside, s.infra.Spec.ControlPlaneEndpoint.Port)
	wanted = append(wanted, joining...)
	slices.Sort(wanted)
	return slices.Compact(wanted), sooner(joinWait(silent, r.Clock(), r.Delays), others.lookAgain(r.Delays.Working)), nil
}

// sooner is the shorter of two waits, of which 0 is none.
func sooner(a, b time.Duration) time.Duration {
	if a == 0 || b == 0 {
		return max(a, b)
	}
	return min(a, b)
}

// comesUp is how long an API server may take from its machine's deployment on: images are pulled, and kubeadm runs.
const comesUp = 5 * time.Minute

// joinWait is the wait until silent API servers are asked again; 0 where there are none. It is short while one comes up, because
// its control plane waits for it, and long for those that never do, because each question costs a worker seconds.
func joinWait(silent []member, now time.Time, delays provisioner.Delays) time.Duration {
	if len(silent) == 0 {
		return 0
	}
	for _, m := range silent {
		if now.Sub(m.deployed) < comesUp {
			return delays.Busy
		}
	}
	return delays.Working
}

// staying are the addresses that are in and stay: those of machines that are not being deleted, or, while the cluster
// lives and all go, the newest one's rather than none: the others must not wait for each other. A failing probe removes
// nobody.
func staying(all []member, clusterGoes bool) []string {
	var stay []string
	var newest *member
	joins := false
	for i := range all {
		switch m := &all[i]; {
		case m.in && !m.leaving:
			stay = append(stay, m.address)
		case m.in && (newest == nil || m.created.After(newest.created)):
			newest = m
		case !m.in && !m.leaving:
			joins = true
		}
	}
	if len(stay) == 0 && newest != nil && !joins && !clusterGoes {
		return []string{newest.address}
	}
	return stay
}

// bystanders are the control plane's machines that are no members.
type bystanders struct {
	// skipped says that there are machines with addresses, but none in the preferred subnets.
	skipped bool
	// unread says that a machine was deployed once and its status is lost, as clusterctl move loses it.
	unread bool
	// leaving are the addresses of the skipped machines that are being deleted.
	leaving []string
}

func (b *bystanders) add(m *infrav1.MaasMachine) {
	switch {
	case len(m.Status.Addresses) == 0:
		b.unread = b.unread || m.Spec.ProviderID != nil && !isGone(m) && m.DeletionTimestamp.IsZero()
	case m.DeletionTimestamp.IsZero():
		b.skipped = true
	default:
		b.skipped = true
		b.leaving = append(b.leaving, endpoint.IPs(m.Status.Addresses)...)
	}
}

// isGone says whether MAAS answered that it has the machine no more. Any other condition tells nothing of a status without
// addresses: conditions are written in a patch of their own, before the rest of the status.
func isGone(m *infrav1.MaasMachine) bool {
	c := conditions.Get(m, infrav1.MachineDeployedCondition)
	return c != nil && (c.Reason == infrav1.VMMissingReason || c.Reason == infrav1.MachineTerminatedReason)
}

// keep gives the recorded addresses that stay though no member has them: any of them may be that of a machine that has
// not been read again, or, where there are no members at all, be the only way to a control plane (R6.2).
func (b *bystanders) keep(all []member, recorded []string) []string {
	if !b.unread && (len(all) > 0 || !b.skipped) {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(recorded), func(ip string) bool {
		return slices.Contains(b.leaving, ip) || slices.ContainsFunc(all, func(m member) bool { return m.address == ip })
	})
}

// lookAgain is the wait until machines that have not been read are looked at again; 0 where all have been.
func (b *bystanders) lookAgain(wait time.Duration) time.Duration {
	if b.unread {
		return wait
	}
	return 0
}

// listMembers lists the control plane's machines that MAAS shows deployed with an address that may be in the record, and
// tells of the others.
func (r *Reconciler) listMembers(ctx context.Context, s *scope) (all []member, others bystanders, err error) {
	subnets, bad, err := endpoint.PreferredSubnets(ctx, r.Client, s.infra.Namespace)
	if err != nil {
		return nil, others, fmt.Errorf("read the preferred subnets: %w", err)
	}
	for _, entry := range bad {
		ctrl.LoggerFrom(ctx).Info("Skipping a preferred subnet that is no CIDR", "entry", entry)
		r.event(s, eventWarning, "BadPreferredSubnet", "%q in ConfigMap %s is no CIDR", entry, infrav1.PreferredSubnetConfigMap)
	}
	machines, owners, err := r.controlPlane(ctx, s)
	if err != nil {
		return nil, others, err
	}
	recorded := r.recorded(s)
	for _, m := range machines {
		address := subnets.Choose(m.Status.Addresses)
		if address == "" {
			others.add(m)
			continue
		}
		in, leaving := slices.Contains(recorded, address), !m.DeletionTimestamp.IsZero()
		deployed := ptr.Deref(m.Status.Initialization.Provisioned, false)
		if !in && !deployed {
			continue
		}
		one := member{address: address, in: in, leaving: leaving, healthy: healthy(owners[m.Name]), created: m.CreationTimestamp.Time}
		if c := conditions.Get(m, infrav1.MachineDeployedCondition); deployed && c != nil && c.Status == metav1.ConditionTrue {
			one.deployed = c.LastTransitionTime.Time
		}
		all = append(all, one)
	}
	return all, others, nil
}

// controlPlane lists the MaasMachines of the control plane and their Machines by the MaasMachine's name.
func (r *Reconciler) controlPlane(ctx context.Context, s *scope) ([]*infrav1.MaasMachine, map[string]*clusterv1.Machine, error) {
	selector := client.MatchingLabels{clusterv1.ClusterNameLabel: s.cluster.Name}
	namespace := client.InNamespace(s.infra.Namespace)
	owners := &clusterv1.MachineList{}
	if err := r.Client.List(ctx, owners, namespace, selector); err != nil {
		return nil, nil, fmt.Errorf("list Machines: %w", err)
	}
	byName := map[string]*clusterv1.Machine{}
	for i := range owners.Items {
		byName[owners.Items[i].Spec.InfrastructureRef.Name] = &owners.Items[i]
	}
	list := &infrav1.MaasMachineList{}
	if err := r.Client.List(ctx, list, namespace, selector); err != nil {
		return nil, nil, fmt.Errorf("list MaasMachines: %w", err)
	}
	var machines []*infrav1.MaasMachine
	for i := range list.Items {
		m := &list.Items[i]
		_, labelled := m.Labels[clusterv1.MachineControlPlaneLabel]
		if owner := byName[m.Name]; owner != nil {
			_, labelled = owner.Labels[clusterv1.MachineControlPlaneLabel]
		}
		if labelled {
			machines = append(machines, m)
		}
	}
	return machines, byName, nil
}

func healthy(owner *clusterv1.Machine) bool {
	return owner != nil && conditions.IsTrue(owner, controlplanev1.KubeadmControlPlaneMachineAPIServerPodHealthyCondition)
}

// answering probes all at once, so that a machine that does not answer costs one time-out and not one for each. It gives the
// addresses of those that answer, and the silent ones.
func (r *Reconciler) answering(ctx context.Context, outside []member, port int32) (joining []string, silent []member) {
	answers := make([]bool, len(outside))
	var wg sync.WaitGroup
	for i, m := range outside {
		if m.healthy {
			answers[i] = true
			continue
		}
		wg.Go(func() { answers[i] = r.Prober.Answers(ctx, m.address, port) })
	}
	wg.Wait()
	for i, m := range outside {
		if answers[i] {
			joining = append(joining, m.address)
		} else {
			silent = append(silent, m)
		}
	}
	return joining, silent
}
