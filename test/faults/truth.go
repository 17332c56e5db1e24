package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
	"github.com/capmaas/capmaas/services/maassim"
)

// kind is what is wrong.
type kind string

const (
	leaked  kind = "leaked"
	doubled kind = "doubled"
	stolen  kind = "stolen"
	stuck   kind = "stuck"
)

// violation is one thing that is not as it must be.
type violation struct {
	kind   kind
	object string
	what   string
}

// truth is everything that there is at one moment.
type truth struct {
	world     *world
	machines  []infrav1.MaasMachine
	clusters  []infrav1.MaasCluster
	instances []maassim.Instance
	rows      []maassim.Machine
	found     []violation
	owned     map[string]bool // names of VMs that an attempt of a live object names
	agents    map[string]bool // agent names of physical machines that a live object holds
	named     map[string]bool // system ids of physical machines that a live object names
}

// compare gives what is wrong. What is under way is wrong too: it is asked again until nothing is. The copy that is watched
// serves for waiting; that nothing is wrong is believed of the API server itself alone.
func (w *world) compare(ctx context.Context) ([]violation, error) {
	if wrong, err := w.compareWith(ctx, w.seen); err != nil || len(wrong) > 0 {
		return wrong, err
	}
	return w.compareWith(ctx, w.client)
}

func (w *world) compareWith(ctx context.Context, objects client.Reader) ([]violation, error) {
	t := &truth{world: w, owned: map[string]bool{}, agents: map[string]bool{}, named: map[string]bool{}}
	var machines infrav1.MaasMachineList
	var clusters infrav1.MaasClusterList
	for _, list := range []client.ObjectList{&machines, &clusters} {
		if err := objects.List(ctx, list, client.InNamespace(w.namespace)); err != nil {
			return nil, fmt.Errorf("list: %w", err)
		}
	}
	t.machines, t.clusters, t.instances, t.rows = machines.Items, clusters.Items, w.sim.LXD(), w.sim.Machines()
	for i := range t.machines {
		t.machine(&t.machines[i])
	}
	for i := range t.clusters {
		if list := t.clusters[i].Annotations[infrav1.PendingDeletionsAnnotation]; list != "" && list != "[]" && list != "null" {
			t.addf(stuck, "MaasCluster "+t.clusters[i].Name, "pending deletions are not worked off: %s", list)
		}
	}
	t.leftovers()
	t.dns()
	for _, text := range w.alice.takeStolen() {
		t.addf(stolen, "alice", "%s", text)
	}
	if len(t.found) == 0 && objects == client.Reader(w.client) {
		t.ledgers(ctx)
	}
	return t.found, nil
}

func (t *truth) addf(k kind, object, format string, args ...any) {
	t.found = append(t.found, violation{kind: k, object: object, what: fmt.Sprintf(format, args...)})
}

// attempt is what the campaign reads of a stored attempt.
type attempt struct {
	Name     string `json:"name"`
	HostName string `json:"hostName"`
	SystemID string `json:"systemID"`
}

// machine compares one object with what stands for it.
func (t *truth) machine(m *infrav1.MaasMachine) {
	name := "MaasMachine " + m.Name
	var attempts []attempt
	if stored := m.Annotations[infrav1.ComposeAttemptsAnnotation]; stored != "" {
		if err := json.Unmarshal([]byte(stored), &attempts); err != nil {
			t.addf(stuck, name, "its attempts can't be read: %v", err)
		}
	}
	for _, a := range attempts {
		t.owned[a.Name] = true
	}
	if agent := m.Annotations[infrav1.BareMetalAgentNameAnnotation]; agent != "" {
		t.agents[agent] = true
	}
	if m.Spec.Mode() != infrav1.ModeLXD && m.Spec.SystemID != nil {
		t.named[*m.Spec.SystemID] = true
	}
	switch now := stateOf(m); now {
	case ready:
		if m.Spec.Mode() == infrav1.ModeLXD {
			t.readyVM(name, m, attempts)
		} else {
			t.readyMetal(name, m)
		}
		if _, member := m.Labels[clusterv1.MachineControlPlaneLabel]; member && !m.Status.DNSAttached {
			t.addf(stuck, name, "it is ready and not in DNS")
		}
	case lost:
		t.addf(stuck, name, "lost: it was deployed, and is no more: %s\n    %s", conditionsOf(m), t.aboutVMs(attempts))
	case under, dying, failed, gone:
		t.addf(stuck, name, "%s: annotations %v; %s\n    %s", now, m.Annotations, conditionsOf(m), t.aboutVMs(attempts))
	}
}

// readyVM finds exactly one VM, the one that the object names.
func (t *truth) readyVM(name string, m *infrav1.MaasMachine, attempts []attempt) {
	var mine []string
	for _, i := range t.instances {
		if t.ours(m, i.Name) {
			mine = append(mine, i.Name)
		}
	}
	switch {
	case len(mine) > 1:
		t.addf(doubled, name, "LXD has %v for it; attempts %s\n    %s", mine, m.Annotations[infrav1.ComposeAttemptsAnnotation], t.aboutVMs(attempts))
	case len(mine) == 0 || mine[0] != m.Status.VMName:
		t.addf(stuck, name, "lost: it is ready with VM %s, and LXD has %v; attempts %s", m.Status.VMName, mine, m.Annotations[infrav1.ComposeAttemptsAnnotation])
	case slices.ContainsFunc(t.instances, func(i maassim.Instance) bool { return i.Name == mine[0] && !i.Running }):
		t.addf(stuck, name, "it is ready, and its VM is off; %s", t.about(mine[0]))
	}
	t.held(name, m, func(row maassim.Machine) bool { return row.Hostname == m.Status.VMName })
}

// ours says whether the object names the VM, or an attempt of it does and alice never had it: what she gave back is nobody's.
func (t *truth) ours(m *infrav1.MaasMachine, vm string) bool {
	return vm == m.Status.VMName || strings.Contains(m.Annotations[infrav1.ComposeAttemptsAnnotation], `"`+vm+`"`) && !t.world.alice.tookVM(vm)
}

// readyMetal finds exactly one machine, the one that the object names.
func (t *truth) readyMetal(name string, m *infrav1.MaasMachine) {
	agent := m.Annotations[infrav1.BareMetalAgentNameAnnotation]
	t.held(name, m, func(row maassim.Machine) bool {
		return row.AgentName == agent && agent != "" || row.SystemID == ptr.Deref(m.Spec.SystemID, "")
	})
}

// held compares the rows of MAAS that stand for an object with what it says.
func (t *truth) held(name string, m *infrav1.MaasMachine, mine func(maassim.Machine) bool) {
	var ids []string
	for _, row := range t.rows {
		if !mine(row) {
			continue
		}
		ids = append(ids, row.SystemID)
		if row.Owner != "admin" || row.Status != "deployed" {
			t.addf(stuck, name, "lost: it is ready, and MAAS says %+v", row)
		} else if row.PowerState != "on" {
			t.addf(stuck, name, "it is ready, and off: %+v", row)
		}
	}
	want := ptr.Deref(m.Spec.SystemID, "")
	switch {
	case len(ids) > 1:
		t.addf(doubled, name, "MAAS holds %v for it", ids)
	case len(ids) == 0 || ids[0] != want:
		t.addf(stuck, name, "lost: it is ready as %s, and MAAS holds %v for it", want, ids)
	}
}

// leftovers finds what nobody owns.
func (t *truth) leftovers() {
	there := map[string]bool{}
	for _, i := range t.instances {
		there[i.Name] = true
		if !t.owned[i.Name] && !t.world.alice.tookVM(i.Name) {
			t.addf(leaked, "VM "+i.Name, "in LXD on %s without an owner; %s", i.Host, t.about(i.Name))
		}
	}
	for _, row := range t.rows {
		switch {
		case row.VMHost || t.world.alice.tookVM(row.Hostname):
		case row.Instance != "" && (!there[row.Instance] || !t.owned[row.Hostname]):
			t.addf(leaked, "machine "+row.Hostname, "MAAS has the VM without an owner or without LXD: %+v", row)
		case row.Instance == "" && row.Owner == "admin" && !t.agents[row.AgentName] && !t.named[row.SystemID]:
			t.addf(leaked, "machine "+row.Hostname, "MAAS holds it for nobody: %+v", row)
		}
	}
	if left := t.world.sim.Reservations(); len(left) > 0 {
		t.addf(leaked, "addresses", "reserved for nobody: %v", left)
	}
}

// dns compares the records with the clusters and their control planes.
func (t *truth) dns() {
	hosts, addresses := map[string]bool{}, map[string]bool{}
	for i := range t.clusters {
		hosts[t.clusters[i].Spec.ControlPlaneEndpoint.Host] = true
	}
	for i := range t.machines {
		if _, member := t.machines[i].Labels[clusterv1.MachineControlPlaneLabel]; member {
			for _, a := range t.machines[i].Status.Addresses {
				addresses[a.Address] = true
			}
		}
	}
	for _, record := range t.world.sim.DNSRecords() {
		if !hosts[record.FQDN] {
			t.addf(leaked, "DNS record "+record.FQDN, "no cluster has it: %v", record.IPs)
		}
		for _, ip := range record.IPs {
			if !addresses[ip] {
				t.addf(leaked, "DNS record "+record.FQDN, "address %s is no control plane's", ip)
			}
		}
	}
}

// ledgers compares what each replica gives out with what there is.
func (t *truth) ledgers(ctx context.Context) {
	for n, r := range t.world.replicas {
		hosts, err := r.listHosts(ctx)
		if err != nil {
			t.addf(stuck, fmt.Sprintf("replica %d", n), "it does not tell its hosts: %v", err) // one that was killed comes back
			continue
		}
		for _, h := range hosts {
			used := int64(0)
			for _, i := range t.instances {
				if i.Host == h.GetName() {
					used += int64(i.Cores)
				}
			}
			if free := h.GetTotal().GetCores() - used; h.GetAvailable().GetCores() != free {
				t.addf(leaked, fmt.Sprintf("ledger of replica %d", n), "host %s has %d cores free, the service gives out %d", h.GetName(), free, h.GetAvailable().GetCores())
			}
		}
	}
}

func (r *replica) listHosts(ctx context.Context) ([]*lxdprovisionerv1.Host, error) {
	conn, err := grpc.NewClient("passthrough:///"+r.gate.address(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, fmt.Errorf("connect to a replica: %w", err)
	}
	defer func() { _ = conn.Close() }()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	answer, err := lxdprovisionerv1.NewLXDProvisionerClient(conn).ListHosts(ctx, &lxdprovisionerv1.ListHostsRequest{}, grpc.WaitForReady(true))
	if err != nil {
		return nil, fmt.Errorf("list the hosts of a replica: %w", err)
	}
	return answer.GetHosts(), nil
}

// aboutVMs says what LXD and MAAS know of the attempts of an object.
func (t *truth) aboutVMs(attempts []attempt) string {
	var all []string
	for _, a := range attempts {
		all = append(all, t.about(a.Name))
	}
	return strings.Join(all, "\n    ")
}

func (t *truth) about(vm string) string {
	says := vm + ":"
	if n := slices.IndexFunc(t.instances, func(i maassim.Instance) bool { return i.Name == vm }); n >= 0 {
		says += fmt.Sprintf(" in LXD on %s (running %v);", t.instances[n].Host, t.instances[n].Running)
	} else {
		says += " not in LXD;"
	}
	if n := slices.IndexFunc(t.rows, func(m maassim.Machine) bool { return m.Hostname == vm || m.Instance == vm }); n >= 0 {
		return says + fmt.Sprintf(" in MAAS %+v", t.rows[n])
	}
	return says + " not in MAAS"
}

func conditionsOf(m *infrav1.MaasMachine) string {
	var all []string
	for _, c := range m.Status.Conditions {
		all = append(all, fmt.Sprintf("%s=%s/%s %q", c.Type, c.Status, c.Reason, c.Message))
	}
	return strings.Join(all, ", ")
}

// eventsOf are the events of an object, for its story.
func (w *world) eventsOf(ctx context.Context, object string) string {
	_, name, _ := strings.Cut(object, " ")
	var events eventsv1.EventList
	if err := w.client.List(ctx, &events, client.InNamespace(w.namespace)); err != nil {
		return err.Error()
	}
	var all []string
	for i := range events.Items {
		if e := &events.Items[i]; e.Regarding.Name == name {
			all = append(all, fmt.Sprintf("%s %s: %s", e.CreationTimestamp.Format(time.TimeOnly), e.Reason, e.Note))
		}
	}
	return strings.Join(all, "\n    ")
}
