package v1beta1

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
)

// FailureDomains is the list of a cluster's failure domains. It also decodes the map from name to failure domain that objects
// written under the v1beta1 contract hold: one such object would otherwise stop the informer of the whole kind.
type FailureDomains []clusterv1.FailureDomain

// UnmarshalJSON accepts a list, or a map whose keys are the names. A map becomes a list sorted by name.
func (d *FailureDomains) UnmarshalJSON(data []byte) error {
	if !bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")) {
		var list []clusterv1.FailureDomain
		if err := json.Unmarshal(data, &list); err != nil {
			return fmt.Errorf("decode failure domains as a list: %w", err)
		}
		*d = list
		return nil
	}
	var byName map[string]clusterv1.FailureDomain
	if err := json.Unmarshal(data, &byName); err != nil {
		return fmt.Errorf("decode failure domains as a map: %w", err)
	}
	list := make([]clusterv1.FailureDomain, 0, len(byName))
	for name, domain := range byName {
		domain.Name = name
		list = append(list, domain)
	}
	slices.SortFunc(list, func(a, b clusterv1.FailureDomain) int { return strings.Compare(a.Name, b.Name) })
	*d = list
	return nil
}

// SetFailureDomains sets the failure domains, and the names of them that kubectl shows.
func (s *MaasClusterStatus) SetFailureDomains(domains []clusterv1.FailureDomain) {
	names := make([]string, 0, len(domains))
	for i := range domains {
		names = append(names, domains[i].Name)
	}
	s.FailureDomains = domains
	s.Zones = strings.Join(names, ",")
}
