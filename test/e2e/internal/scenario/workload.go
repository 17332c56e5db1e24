package scenario

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/test/e2e/internal/management"
)

// workload reaches the cluster by the kubeconfig that Cluster API wrote, through the name that MAAS has in its DNS.
func (r *Run) workload(ctx context.Context) (client.Client, error) { //nolint:ireturn // controller-runtime has no other type for it
	config, err := r.workloadConfig(ctx)
	if err != nil {
		return nil, err
	}
	config.Timeout = 10 * time.Second
	return client.New(config, client.Options{Scheme: management.Scheme()})
}

// checkNodes compares the cluster's Nodes with its Machines: each is ready and has the provider ID of its machine.
func (r *Run) checkNodes(ctx context.Context, s *state) error {
	c, err := r.workload(ctx)
	if err != nil {
		return err
	}
	var nodes corev1.NodeList
	if err := c.List(ctx, &nodes); err != nil {
		return fmt.Errorf("list the cluster's nodes: %w", err)
	}
	var have, want []string
	for _, n := range nodes.Items {
		have = append(have, n.Name+" "+n.Spec.ProviderID+" "+n.Status.NodeInfo.KubeletVersion+" ready: "+readiness(n))
	}
	for _, m := range s.machines {
		want = append(want, m.Status.NodeRef.Name+" "+m.Spec.ProviderID+" "+m.Spec.Version+" ready: "+string(corev1.ConditionTrue))
	}
	slices.Sort(have)
	slices.Sort(want)
	if !slices.Equal(have, want) {
		return fmt.Errorf("the nodes are\n  %s\nand the machines\n  %s", strings.Join(have, "\n  "), strings.Join(want, "\n  "))
	}
	return nil
}

// readiness is a Node's Ready condition.
func readiness(n corev1.Node) string {
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return string(c.Status)
		}
	}
	return string(corev1.ConditionUnknown)
}

// checkPlaces wants the control plane in VMs, by MAAS in as many zones as there are for it, as it says itself, and its addresses and
// no others in DNS.
func (r *Run) checkPlaces(s *state) error {
	zones, hosts := make(map[string]int), make(map[string]int)
	var addresses []string
	machines := 0
	for _, m := range s.machines {
		infra := s.infra[m.Spec.InfrastructureRef.Name]
		if !strings.HasPrefix(m.Name, controlPlaneName) {
			continue
		}
		sim, ok := r.sim.Machine(ptr.Deref(infra.Spec.SystemID, ""))
		if !ok {
			return fmt.Errorf("MAAS has no machine of %s", infra.Name)
		}
		host, ok := r.sim.Machine(sim.Host)
		if infra.Spec.Mode() != infrav1.ModeLXD || !ok {
			return fmt.Errorf("control-plane machine %s is no VM", m.Name)
		}
		if told := ptr.Deref(infra.Status.LXDHost, ""); told != host.Hostname || infra.Status.FailureDomain != host.Zone {
			return fmt.Errorf("machine %s tells host %q in zone %q and is on %s in %s", m.Name, told, infra.Status.FailureDomain, host.Hostname, host.Zone)
		}
		zones[host.Zone]++
		hosts[host.Hostname]++
		machines++
		addresses = append(addresses, slices.DeleteFunc(sim.IPs, r.notPreferred)...)
	}
	if len(zones) != min(r.zones, machines) || len(hosts) != machines {
		return fmt.Errorf("the control plane is spread over zones %v and hosts %v", zones, hosts)
	}
	return r.checkRecord(s.cluster.Spec.ControlPlaneEndpoint.Host, addresses)
}

// notPreferred says of an address that it must not be in DNS.
func (r *Run) notPreferred(text string) bool {
	address, err := netip.ParseAddr(text)
	return err != nil || r.preferred.IsValid() && !r.preferred.Contains(address)
}

// checkRecord wants DNS to have these addresses at the name, and no others.
func (r *Run) checkRecord(name string, addresses []string) error {
	slices.Sort(addresses)
	for _, record := range r.sim.DNSRecords() {
		if record.FQDN != name {
			continue
		}
		slices.Sort(record.IPs)
		if !slices.Equal(record.IPs, addresses) {
			return fmt.Errorf("DNS has %v for %s, the control plane %v", record.IPs, name, addresses)
		}
		return nil
	}
	return fmt.Errorf("DNS has no record %s", name)
}
