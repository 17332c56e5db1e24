// Package endpoint is what the reconcilers of MaasCluster and MaasMachine share about the control plane's DNS record:
// which address of a machine goes into it, and which addresses it holds. Only the MaasCluster's reconciler writes it.
package endpoint

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util/annotations"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
)

// AddressesAnnotation on a MaasCluster holds, separated by commas, the addresses that the DNS record was last given. By it
// the MaasMachines know whether they are in without asking MAAS, and it survives clusterctl move.
const AddressesAnnotation = "infrastructure.cluster.x-k8s.io/endpoint-addresses"

// IsCustom says whether somebody else keeps the cluster's DNS record: the record alone, or all of the MaasCluster.
func IsCustom(c *infrav1.MaasCluster) bool {
	_, custom := c.Annotations[infrav1.CustomDNSProvidedAnnotation]
	return custom || annotations.IsExternallyManaged(c)
}

// Recorded are the addresses that the record was last given.
func Recorded(c *infrav1.MaasCluster) []string {
	text := c.Annotations[AddressesAnnotation]
	if text == "" {
		return nil
	}
	return strings.Split(text, ",")
}

// Format is the annotation's value for a set of addresses.
func Format(addresses []string) string {
	sorted := slices.Clone(addresses)
	slices.Sort(sorted)
	return strings.Join(slices.Compact(sorted), ",")
}

// Holds says whether the record holds any of the machine's addresses.
func Holds(recorded []string, addresses []clusterv1.MachineAddress) bool {
	return slices.ContainsFunc(IPs(addresses), func(ip string) bool { return slices.Contains(recorded, ip) })
}

// IPs are the machine's IP addresses, in its order.
func IPs(addresses []clusterv1.MachineAddress) []string {
	var ips []string
	for _, a := range addresses {
		if a.Type == clusterv1.MachineExternalIP {
			ips = append(ips, a.Address)
		}
	}
	return ips
}

// Subnets are the subnets of which addresses go into DNS. With none of them every address may.
type Subnets []netip.Prefix

// PreferredSubnets reads the ConfigMap of a namespace. Entries that are no CIDR are left out and returned as bad.
func PreferredSubnets(ctx context.Context, reader client.Reader, namespace string) (subnets Subnets, bad []string, err error) {
	config := &corev1.ConfigMap{}
	key := client.ObjectKey{Namespace: namespace, Name: infrav1.PreferredSubnetConfigMap}
	if err := reader.Get(ctx, key, config); err != nil {
		if client.IgnoreNotFound(err) == nil {
			return nil, nil, nil
		}
		return nil, nil, fmt.Errorf("get ConfigMap %s: %w", key, err)
	}
	for entry := range strings.SplitSeq(config.Data[infrav1.PreferredSubnetKey], ",") {
		entry = strings.TrimSpace(entry)
		if entry == "" {
			continue
		}
		prefix, err := netip.ParsePrefix(entry)
		if err != nil {
			bad = append(bad, entry)
			continue
		}
		subnets = append(subnets, prefix.Masked())
	}
	return subnets, bad, nil
}

// Strings gives the subnets as CIDRs.
func (s Subnets) Strings() []string {
	cidrs := make([]string, 0, len(s))
	for _, prefix := range s {
		cidrs = append(cidrs, prefix.String())
	}
	return cidrs
}

// Choose gives the machine's first address that is in one of the subnets; empty where none is.
func (s Subnets) Choose(addresses []clusterv1.MachineAddress) string {
	for _, ip := range IPs(addresses) {
		addr, err := netip.ParseAddr(ip)
		if err != nil {
			continue
		}
		if len(s) == 0 || slices.ContainsFunc(s, func(p netip.Prefix) bool { return p.Contains(addr) }) {
			return ip
		}
	}
	return ""
}
