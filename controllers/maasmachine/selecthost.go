package maasmachine

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/controllers/internal/endpoint"
	"github.com/capmaas/capmaas/proto/errorinfo"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// groupLocks holds one lock for each group of VMs: who lists the peers, chooses and stores does so alone, so that the
// peers contain every stored attempt (docs/protocol-coverage.md 6.2).
type groupLocks struct {
	mu    sync.Mutex
	locks map[string]chan struct{}
}

// lock waits for the group's lock, but not longer than the context lasts.
func (g *groupLocks) lock(ctx context.Context, key string) (unlock func(), err error) {
	g.mu.Lock()
	if g.locks == nil {
		g.locks = map[string]chan struct{}{}
	}
	held, ok := g.locks[key]
	if !ok {
		held = make(chan struct{}, 1)
		g.locks[key] = held
	}
	g.mu.Unlock()
	select {
	case held <- struct{}{}:
		return func() { <-held }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for the lock of group %s: %w", key, ctx.Err())
	}
}

// loadAttempts reads the attempts uncached, adopts the name of a VM that the existing provider began, and refuses what
// cannot be asked for.
func (r *Reconciler) loadAttempts(ctx context.Context, s *scope) (step, error) {
	rec, err := r.readRecord(ctx, client.ObjectKeyFromObject(s.machine))
	if err != nil {
		return step{}, err
	}
	s.record, s.current = rec, rec.attempts.current()
	if wasDeployed(rec.object) {
		return r.waitForCache(s), nil
	}
	if fixed := s.machine.Spec.StaticIPConfig(); fixed != nil && fixed.IPAddress == "" {
		return s.waitAt(stageStaticIP, "waiting for somebody to fill in spec.staticIP.ip"), nil
	}
	if problem := unsupported(&s.machine.Spec); problem != "" {
		return r.stopped(ctx, s, stageHost, r.refusal(lxdprovisionerv1.Reason_REASON_NOT_SUPPORTED, problem)), nil
	}
	return proceed, nil
}

// selectHost makes sure that there is an attempt: a name on a host, stored before anything is made there.
func (r *Reconciler) selectHost(ctx context.Context, s *scope) (step, error) {
	begun := s.current != nil && !s.current.GivenUp
	if next, err := r.takeTurn(ctx, s, begun); err != nil || next.stop || begun {
		return next, err
	}
	// What failed is removed first: a VM that is of no use must not keep its host's cores.
	if next, err := r.removeGivenUp(ctx, s); err != nil || next.stop {
		return next, err
	}
	if failed := s.record.attempts.failed(); failed > mostFailed {
		return r.stopped(ctx, s, stageHost, r.refusal(lxdprovisionerv1.Reason_REASON_VM_DEPLOYMENT_FAILED,
			fmt.Sprintf("%d VMs failed before they were deployed; delete the Machine to have it made anew", failed))), nil
	}
	return r.openAttempt(ctx, s)
}

// openAttempt chooses a host under the group's lock and stores the attempt.
func (r *Reconciler) openAttempt(ctx context.Context, s *scope) (step, error) {
	network, next := r.networkFor(ctx, s, stageHost)
	if next.stop {
		return next, nil
	}
	group := groupOf(clusterIDOf(s), s.machine.Labels, s.owner.Labels)
	unlock, err := r.groups.lock(ctx, group)
	if err != nil {
		return step{}, err
	}
	defer unlock()
	peers, err := r.peersOf(ctx, s, group)
	if err != nil {
		return step{}, err
	}
	number := int32(1)
	if s.current != nil {
		number = s.current.Number + 1
	}
	name := attemptName(s.machine.Name, s.machine.UID, number)
	if adopted := s.record.object.Annotations[infrav1.VMNameAnnotation]; adopted != "" && s.current == nil {
		name = adopted
	}
	zone, resources := zoneOf(s.owner, &s.machine.Spec), resourcesOf(&s.machine.Spec)
	answer, due, err := r.askForHost(ctx, s.record.attempts, &lxdprovisionerv1.SelectHostRequest{
		VmName:    name,
		Resources: resources,
		Placement: placementOf(&s.machine.Spec, zone),
		Group:     &lxdprovisionerv1.Group{Key: group, AntiAffinity: antiAffinityOf(&s.machine.Spec), Peers: peers},
		Network:   network,
	})
	if err != nil {
		logRejections(ctx, name, zone, resources, err)
		out := r.Delays.Of(err)
		if !due.IsZero() {
			out.Delay = min(out.Delay, max(due.Sub(r.Clock()), r.Delays.Busy))
		}
		return r.stopped(ctx, s, stageHost, out), nil
	}
	chosen := answer.GetChosen()
	all := append(slices.Clone(s.record.attempts), attempt{
		Number: number, Name: name, HostID: chosen.GetHostId(), HostName: chosen.GetHostName(), SentAt: now(r.Clock),
		LastHost: len(answer.GetCandidates()) == 1 && antiAffinityOf(&s.machine.Spec) == lxdprovisionerv1.AntiAffinity_ANTI_AFFINITY_REQUIRED,
	})
	if err := r.store(ctx, s.record, all, clusterIDOf(s)); err != nil {
		return step{}, err
	}
	s.current, s.justSent = all.current(), true
	if s.current.LastHost {
		r.event(s, eventWarning, "NoSpareHost", "%s", noSpareHost)
	}
	ctrl.LoggerFrom(ctx).Info("Selected an LXD host", "vm", name, "host", chosen.GetHostName(), "zone", chosen.GetZone(),
		"attempt", number, "cores", resources.GetCores(), "memoryMiB", resources.GetMemoryMib(), "summary", answer.GetSummary())
	return proceed, nil
}

// askForHost leaves out the hosts on which this machine's attempts came to nothing. Where no other one can take the VM they
// are asked again after growing waits (R7.2): a site may have no more than one host. due is when the next of them is.
func (r *Reconciler) askForHost(
	ctx context.Context, made attempts, request *lxdprovisionerv1.SelectHostRequest,
) (answer *lxdprovisionerv1.SelectHostResponse, due time.Time, err error) {
	failed, resting, due := made.failedHosts(r.Clock(), r.Delays.Working, r.Delays.Exclusion)
	request.Placement.ExcludedHosts = failed
	answer, err = r.Provisioner.VMs.SelectHost(ctx, request)
	if info, ok := errorinfo.From(err); ok && info.Placement != nil && len(resting) < len(failed) {
		request.Placement.ExcludedHosts = resting
		answer, err = r.Provisioner.VMs.SelectHost(ctx, request)
	}
	return answer, due, err
}

// networkFor is the VM's network; a wrong one stops the phases.
func (r *Reconciler) networkFor(ctx context.Context, s *scope, at stage) (*lxdprovisionerv1.VMNetwork, step) {
	preferred, _, err := endpoint.PreferredSubnets(ctx, r.Client, s.machine.Namespace)
	if err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Reading the preferred subnets")
		s.stage, s.waiting = at, "waiting for the preferred subnets to be read from ConfigMap "+infrav1.PreferredSubnetConfigMap
		return nil, stopFor(r.Delays.Busy)
	}
	network, err := networkOf(&s.machine.Spec, preferred.Strings())
	if err != nil {
		return nil, r.stopped(ctx, s, at, r.refusal(lxdprovisionerv1.Reason_REASON_STATIC_IP_INVALID, err.Error()))
	}
	return network, proceed
}

// groupOf is the key of the VMs that keep away from each other: those of a control plane, or of one MachineDeployment.
func groupOf(clusterID string, labelSets ...map[string]string) string {
	for _, labels := range labelSets {
		if _, ok := labels[clusterv1.MachineControlPlaneLabel]; ok {
			return clusterID + "/control-plane"
		}
	}
	for _, labels := range labelSets {
		for _, label := range []string{clusterv1.MachineDeploymentNameLabel, clusterv1.MachineSetNameLabel} {
			if name := labels[label]; name != "" {
				return clusterID + "/" + name
			}
		}
	}
	return clusterID + "/workers"
}

// peersOf lists the stored attempts of the group's other machines, those that are being deleted too. Attempts are read
// uncached; a Machine's labels never change, so the cache is good enough for them.
func (r *Reconciler) peersOf(ctx context.Context, s *scope, group string) ([]*lxdprovisionerv1.Peer, error) {
	inCluster := client.MatchingLabels{clusterv1.ClusterNameLabel: s.cluster.Name}
	inNamespace := client.InNamespace(s.machine.Namespace)
	owners := &clusterv1.MachineList{}
	if err := r.Client.List(ctx, owners, inNamespace, inCluster); err != nil {
		return nil, fmt.Errorf("list Machines: %w", err)
	}
	labels := map[string]map[string]string{}
	for i := range owners.Items {
		labels[owners.Items[i].Spec.InfrastructureRef.Name] = owners.Items[i].Labels
	}
	machines := &infrav1.MaasMachineList{}
	if err := r.APIReader.List(ctx, machines, inNamespace, inCluster); err != nil {
		return nil, fmt.Errorf("list MaasMachines uncached: %w", err)
	}
	var peers []*lxdprovisionerv1.Peer
	for i := range machines.Items {
		m := &machines.Items[i]
		if m.UID == s.machine.UID || groupOf(clusterIDOf(s), m.Labels, labels[m.Name]) != group {
			continue
		}
		all, err := attemptsOf(m)
		if err != nil {
			return nil, err
		}
		for j := range all {
			if all[j].mayExist(r.Clock()) {
				peers = append(peers, &lxdprovisionerv1.Peer{Name: all[j].Name, HostId: all[j].HostID, Zone: m.Status.FailureDomain})
			}
		}
	}
	return peers, nil
}

// logRejections says who was refused and why, and what was asked for (R7.1).
func logRejections(ctx context.Context, vm, zone string, resources *lxdprovisionerv1.VMResources, err error) {
	info, ok := errorinfo.From(err)
	if !ok {
		return
	}
	log := ctrl.LoggerFrom(ctx).WithValues("vm", vm, "zone", zone, "reason", errorinfo.Word(info.Reason),
		"cores", resources.GetCores(), "memoryMiB", resources.GetMemoryMib(), "diskGB", resources.GetDisks()[0].GetSizeGb())
	log.Info("Selecting an LXD host found none", "answer", info.Message)
	for _, rejection := range info.Placement.GetRejections() {
		log.V(4).Info("Host was rejected", "host", rejection.GetHostName(), "hostZone", rejection.GetZone(), "why", rejection.GetMessage())
	}
}
