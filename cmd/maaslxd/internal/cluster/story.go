package cluster

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/capmaas/capmaas/api/records"
	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// Event is one event of an object.
type Event struct {
	Type, Reason, Note string
	Last               time.Time
	Count              int32
}

// Story is everything that the cluster says of one machine. What is not there is nil.
type Story struct {
	Machine     *infrav1.MaasMachine
	Owner       *clusterv1.Machine
	Cluster     *clusterv1.Cluster
	MaasCluster *infrav1.MaasCluster
	Attempts    []records.Attempt
	// Events are the MaasMachine's, latest first.
	Events []Event
}

// Tell reads the story of a machine, which is named by its MaasMachine, its Machine, its VM or its system id.
func (a *Access) Tell(ctx context.Context, name string) (*Story, error) {
	s := &Story{}
	var err error
	if s.Machine, err = a.find(ctx, name); err != nil {
		return nil, err
	}
	if s.Attempts, err = records.Attempts(s.Machine); err != nil {
		return nil, err
	}
	at := func(name string) client.ObjectKey {
		return client.ObjectKey{Namespace: s.Machine.Namespace, Name: name}
	}
	if s.Owner, err = get(ctx, a.Client, at(ownerOf(s.Machine)), &clusterv1.Machine{}); err != nil {
		return nil, err
	}
	if s.Cluster, err = get(ctx, a.Client, at(s.Machine.Labels[clusterv1.ClusterNameLabel]), &clusterv1.Cluster{}); err != nil {
		return nil, err
	}
	if s.Cluster != nil {
		if s.MaasCluster, err = get(ctx, a.Client, at(s.Cluster.Spec.InfrastructureRef.Name), &infrav1.MaasCluster{}); err != nil {
			return nil, err
		}
	}
	s.Events, err = a.events(ctx, s.Machine)
	return s, err
}

// VM gives the attempt that counts, nil for none, and for whom it was made.
func (s *Story) VM() (*lxdprovisionerv1.Attempt, *lxdprovisionerv1.Owner) {
	if len(s.Attempts) == 0 {
		return nil, nil
	}
	owner := &lxdprovisionerv1.Owner{
		Namespace: s.Machine.Namespace, Machine: s.Machine.Name, MachineUid: string(s.Machine.UID),
		ClusterId: s.Machine.Annotations[infrav1.ClusterIDAnnotation], Cluster: s.Machine.Labels[clusterv1.ClusterNameLabel],
	}
	if s.MaasCluster != nil {
		owner.Cluster = s.MaasCluster.Name
	}
	if owner.GetClusterId() == "" || owner.GetCluster() == "" {
		owner = nil // the service only says whose it is where it is told in full
	}
	return proto(&s.Attempts[len(s.Attempts)-1]), owner
}

// Metal gives the name under which a physical machine is held; nil for none.
func (s *Story) Metal() *lxdprovisionerv1.MachineRef {
	agent := s.Machine.Annotations[infrav1.BareMetalAgentNameAnnotation]
	if agent == "" {
		return nil
	}
	return &lxdprovisionerv1.MachineRef{AgentName: agent, SystemId: ptr.Deref(s.Machine.Spec.SystemID, "")}
}

// find gives the MaasMachine of a name of some kind.
func (a *Access) find(ctx context.Context, name string) (*infrav1.MaasMachine, error) {
	m := &infrav1.MaasMachine{}
	err := a.Client.Get(ctx, client.ObjectKey{Namespace: a.Namespace, Name: name}, m)
	if err == nil || !apierrors.IsNotFound(err) {
		return m, wrapped(err, "read MaasMachine %s/%s", a.Namespace, name)
	}
	owner := &clusterv1.Machine{}
	if err := a.Client.Get(ctx, client.ObjectKey{Namespace: a.Namespace, Name: name}, owner); err == nil && owner.Spec.InfrastructureRef.Kind == "MaasMachine" {
		of := owner.Spec.InfrastructureRef.Name
		return m, wrapped(a.Client.Get(ctx, client.ObjectKey{Namespace: a.Namespace, Name: of}, m), "read MaasMachine %s/%s", a.Namespace, of)
	}
	all := &infrav1.MaasMachineList{}
	if err := a.Client.List(ctx, all, client.InNamespace(a.Namespace)); err != nil {
		return nil, fmt.Errorf("list the MaasMachines of namespace %s: %w", a.Namespace, err)
	}
	for i := range all.Items {
		one := &all.Items[i]
		if name == one.Status.VMName || name == ptr.Deref(one.Spec.SystemID, "") || name == ptr.Deref(one.Status.Hostname, "") {
			return one, nil
		}
	}
	return nil, fmt.Errorf("no MaasMachine, Machine, VM or system id %q in namespace %s; -n names another", name, a.Namespace)
}

func (a *Access) events(ctx context.Context, m *infrav1.MaasMachine) ([]Event, error) {
	list := &eventsv1.EventList{}
	err := a.Client.List(ctx, list, client.InNamespace(m.Namespace), client.MatchingFields{"regarding.name": m.Name, "regarding.kind": "MaasMachine"})
	if err != nil {
		return nil, fmt.Errorf("list the events of MaasMachine %s/%s: %w", m.Namespace, m.Name, err)
	}
	var all []Event
	for i := range list.Items {
		e := &list.Items[i]
		one := Event{Type: e.Type, Reason: e.Reason, Note: e.Note, Last: e.EventTime.Time, Count: max(e.DeprecatedCount, 1)}
		if e.Series != nil {
			one.Last, one.Count = e.Series.LastObservedTime.Time, e.Series.Count
		}
		if one.Last.IsZero() {
			one.Last = e.DeprecatedLastTimestamp.Time
		}
		all = append(all, one)
	}
	slices.SortStableFunc(all, func(a, b Event) int { return cmp.Compare(b.Last.UnixNano(), a.Last.UnixNano()) })
	return all, nil
}

// ownerOf is the name of the Machine that owns a MaasMachine; empty for none.
func ownerOf(m *infrav1.MaasMachine) string {
	for _, o := range m.OwnerReferences {
		if o.Kind == "Machine" {
			return o.Name
		}
	}
	return ""
}

// get reads an object; nil where it is not there or has no name.
func get[T any, P interface {
	*T
	client.Object
}](ctx context.Context, c client.Reader, key client.ObjectKey, into P) (P, error) {
	if key.Name == "" {
		return nil, nil
	}
	if err := c.Get(ctx, key, into); apierrors.IsNotFound(err) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("read %T %s: %w", into, key, err)
	}
	return into, nil
}

func wrapped(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf(format+": %w", append(args, err)...)
}
