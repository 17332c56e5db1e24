package maassim_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/maassim"
)

// differences compares the shape of an answer with a recorded one: the same fields everywhere, of the same kinds. null goes with every
// kind, and of lists the first elements are compared.
func differences(path string, recorded, got any) []string {
	switch r := recorded.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			return mismatch(path, recorded, got)
		}
		var all []string
		for name := range r {
			if _, ok := g[name]; !ok {
				all = append(all, path+"."+name+" is missing")
				continue
			}
			all = append(all, differences(path+"."+name, r[name], g[name])...)
		}
		for name := range g {
			if _, ok := r[name]; !ok {
				all = append(all, path+"."+name+" was not recorded")
			}
		}
		return all
	case []any:
		g, ok := got.([]any)
		if !ok {
			return mismatch(path, recorded, got)
		}
		if len(r) > 0 && len(g) > 0 {
			return differences(path+"[0]", r[0], g[0])
		}
		return nil
	case nil:
		return nil
	}
	if fmt.Sprintf("%T", recorded) != fmt.Sprintf("%T", got) {
		return mismatch(path, recorded, got)
	}
	return nil
}

func mismatch(path string, recorded, got any) []string {
	if got == nil {
		return nil
	}
	return []string{fmt.Sprintf("%s: recorded %T, got %T", path, recorded, got)}
}

func TestShapes_are_those_of_MAAS_3_4(t *testing.T) {
	t.Parallel()
	cfg := maassim.DefaultConfig(1, 1, 0)
	cfg.Version = "3.4"
	m := start(t, cfg)
	allocated, deployed := m.compose("va-0", ""), m.compose("va-1", "")
	claimed := m.post("machines/?op=allocate", "system_id="+allocated)
	m.post(m.nic(deployed)+"?op=link_subnet", "mode=STATIC&force=true&subnet=1&ip_address=10.10.1.150&default_gateway=true")
	m.claim(deployed, "b")
	m.post("machines/"+deployed+"/?op=set_workload_annotations", "capmaas-cluster-id=1&capmaas.namespace=d&capmaas_machine=m&capmaas-uid=u&capmaas-spec-digest=x&capmaas-note=n")
	m.post("machines/"+deployed+"/?op=deploy", "distro_series=u-2204-k8s-v1.34.0")
	m.post("dnsresources/", "fqdn=api.cluster.example&ip_addresses=10.10.1.100")
	m.post("ipaddresses/?op=reserve", "ip=10.30.0.70")
	host, _ := m.Machine("lxd-1")

	for file, path := range map[string]string{
		"001-version": "version/", "024-zones": "zones/", "027-resourcepools": "resourcepools/", "029-domains": "domains/",
		"079-machine-vmhost": "machines/" + host.SystemID + "/", "114-boot-resources": "boot-resources/", "213-dnsresource": "dnsresources/1/",
		"328-machine-allocated": "", "382-interface": m.nic(deployed), "397-reserved-ranges": "subnets/2/?op=reserved_ip_ranges",
		"399-subnet-statistics": "subnets/2/?op=statistics", "402-subnet": "subnets/2/", "410-vlans": "fabrics/2/vlans/",
		"424-machine-deployed": "machines/" + deployed + "/", "495-vmhost": "vm-hosts/1/",
		"258-subnet-addresses": "subnets/1/?op=ip_addresses", "571-events": "events/?op=query&id=" + deployed,
	} {
		t.Run("recording_"+file, func(t *testing.T) {
			raw, err := os.ReadFile(filepath.Join("testdata", "recorded", file+".json"))
			require.NoError(t, err)
			var recorded, got any
			require.NoError(t, json.Unmarshal(raw, &recorded))
			a := claimed
			if path != "" {
				a = m.get(path)
			}
			require.Equal(t, 200, a.status, a.body)
			require.NoError(t, json.Unmarshal([]byte(a.body), &got))
			all := differences("", recorded, got)
			slices.Sort(all)
			assert.Empty(t, all)
		})
	}
}

func TestShapes_fields_by_version(t *testing.T) {
	t.Parallel()
	for version, added := range map[string][]string{
		"3.4": {}, "3.5": {"error_description"}, "3.6": {"error_description", "enable_kernel_crash_dump"},
		"3.7": {"error_description", "enable_kernel_crash_dump", "is_dpu"},
	} {
		cfg := maassim.DefaultConfig(1, 1, 0)
		cfg.Version = version
		m := start(t, cfg)
		o := m.get("machines/").list(t)[0]
		for _, name := range []string{"error_description", "enable_kernel_crash_dump", "is_dpu"} {
			_, there := o[name]
			assert.Equal(t, slices.Contains(added, name), there, version+" "+name)
		}
	}
}
