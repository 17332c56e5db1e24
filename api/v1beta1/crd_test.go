package v1beta1_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// crdFolder holds what controller-gen makes of the types.
const crdFolder = "../../deploy/crd/bases/infrastructure.cluster.x-k8s.io_"

func readCRD(t *testing.T, plural string) map[string]any {
	t.Helper()
	var crd map[string]any
	readYAML(t, crdFolder+plural+".yaml", &crd)
	return crd
}

// version returns the only version of a CRD.
func version(t *testing.T, crd map[string]any) map[string]any {
	t.Helper()
	versions, found, err := unstructured.NestedSlice(crd, "spec", "versions")
	require.NoError(t, err)
	require.True(t, found)
	require.Len(t, versions, 1)
	v, ok := versions[0].(map[string]any)
	require.True(t, ok)
	return v
}

// schemaAt walks from the root schema along a path such as status.failureDomains[].name; [] steps into the items.
func schemaAt(t *testing.T, crd map[string]any, path string) map[string]any {
	t.Helper()
	schema, found, err := unstructured.NestedMap(version(t, crd), "schema", "openAPIV3Schema")
	require.NoError(t, err)
	require.True(t, found)
	for step := range strings.SplitSeq(path, ".") {
		name, isList := strings.CutSuffix(step, "[]")
		schema, found, err = unstructured.NestedMap(schema, "properties", name)
		require.NoError(t, err)
		require.Truef(t, found, "%s: the schema has no %q", path, name)
		if isList {
			schema, found, err = unstructured.NestedMap(schema, "items")
			require.NoError(t, err)
			require.True(t, found, path)
		}
	}
	return schema
}

func TestCRDs_keep_the_contract_of_Cluster_API(t *testing.T) {
	t.Parallel()
	for plural, tc := range map[string]struct {
		kind      string
		hasStatus bool
	}{
		"maasclusters":         {"MaasCluster", true},
		"maasclustertemplates": {"MaasClusterTemplate", false},
		"maasmachines":         {"MaasMachine", true},
		"maasmachinetemplates": {"MaasMachineTemplate", true},
	} {
		t.Run(tc.kind, func(t *testing.T) {
			t.Parallel()
			crd := unstructured.Unstructured{Object: readCRD(t, plural)}
			assert.Equal(t, plural+".infrastructure.cluster.x-k8s.io", crd.GetName())
			assert.Subset(t, crd.GetLabels(), map[string]string{
				"cluster.x-k8s.io/v1beta1":  "v1beta1",
				"cluster.x-k8s.io/v1beta2":  "v1beta1",
				"cluster.x-k8s.io/provider": "infrastructure-maas",
			})
			for path, want := range map[string]string{
				"spec.group": "infrastructure.cluster.x-k8s.io", "spec.scope": "Namespaced",
				"spec.names.kind": tc.kind, "spec.names.listKind": tc.kind + "List", "spec.names.plural": plural,
			} {
				got, _, err := unstructured.NestedString(crd.Object, strings.Split(path, ".")...)
				require.NoError(t, err)
				assert.Equal(t, want, got, path)
			}
			categories, _, err := unstructured.NestedStringSlice(crd.Object, "spec", "names", "categories")
			require.NoError(t, err)
			assert.Equal(t, []string{"cluster-api"}, categories)

			v := version(t, crd.Object)
			assert.Equal(t, "v1beta1", v["name"])
			assert.Equal(t, true, v["served"])
			assert.Equal(t, true, v["storage"])
			_, statusIsSubresource, err := unstructured.NestedMap(v, "subresources", "status")
			require.NoError(t, err)
			assert.Equal(t, tc.hasStatus, statusIsSubresource)
		})
	}
}

// A field's type in the schema, as the contract of Cluster API and the existing provider's manifests want it.
func TestCRDs_P1_have_the_fields_that_others_read_and_write(t *testing.T) {
	t.Parallel()
	machineSpec := map[string]string{
		"provisioningMode": "string", "failureDomain": "string", "systemID": "string", "parent": "string", "providerID": "string",
		"resourcePool": "string", "minCPU": "integer", "minMemory": "integer", "minDiskSize": "integer", "tags": "array", "tags[]": "string",
		"image": "string", "deployInMemory": "boolean", "keepSwap": "boolean",
		"lxd.enabled": "boolean", "lxd.vmConfig.diskSize": "integer", "lxd.vmConfig.storagePool": "string", "lxd.vmConfig.network": "string",
		"lxd.vmConfig.interfaceLinkModes": "object", "lxd.vmConfig.autoStart": "boolean",
		"staticIP.ip": "string", "staticIP.cidr": "string", "staticIP.gateway": "string", "staticIP.nameservers[]": "string",
		"lxdConfig.profile": "string", "lxdConfig.project": "string", "lxdConfig.vmHost": "string",
		"lxdConfig.antiAffinity": "string", "lxdConfig.placementPolicy": "string",
		"lxdConfig.storage.pool": "string", "lxdConfig.storageConfig.storagePool": "string",
		"lxdConfig.network.bridge": "string", "lxdConfig.network.subnet": "string", "lxdConfig.network.macAddress": "string",
		"lxdConfig.network.devices[]": "string", "lxdConfig.network.addressFamilies[]": "string",
		"lxdConfig.network.staticIPConfig.ipAddress": "string", "lxdConfig.network.staticIPConfig.gateway": "string",
		"lxdConfig.network.staticIPConfig.subnet": "string", "lxdConfig.network.staticIPConfig.dnsServers[]": "string",
		"lxdConfig.network.staticIPConfig.interface": "string", "lxdConfig.networkConfig.bridge": "string",
		"lxdConfig.networkConfig.macAddress": "string", "lxdConfig.networkConfig.staticIPConfig.ipAddress": "string",
		"lxdConfig.hostSelection.preferredHosts[]": "string", "lxdConfig.hostSelection.availabilityZones[]": "string",
		"lxdConfig.hostSelection.resourcePools[]": "string", "lxdConfig.hostSelection.tags[]": "string",
		"lxdConfig.resourceAllocation.cpu": "integer", "lxdConfig.resourceAllocation.memory": "integer", "lxdConfig.resourceAllocation.disk": "integer",
	}
	clusterSpec := map[string]string{
		"dnsDomain": "string", "controlPlaneEndpoint.host": "string", "controlPlaneEndpoint.port": "integer", "failureDomains[]": "string",
		"onHostLost": "string", "lxdConfig.enabled": "boolean", "lxdConfig.resourcePool": "string", "lxdConfig.zone": "string",
		"lxdConfig.storageBackend": "string", "lxdConfig.storageSize": "string", "lxdConfig.nicType": "string", "lxdConfig.nicParent": "string",
		"lxdConfig.networkBridge": "string", "lxdConfig.skipNetworkUpdate": "boolean",
	}
	status := map[string]map[string]string{
		"maasclusters": {
			"ready": "boolean", "initialization.provisioned": "boolean", "network.dnsName": "string", "pendingDeletions": "integer", "zones": "string",
			"failureDomains": "array", "failureDomains[].name": "string", "failureDomains[].controlPlane": "boolean",
			"failureDomains[].attributes": "object", "conditions": "array", "conditions[].reason": "string",
		},
		"maasmachines": {
			"ready": "boolean", "initialization.provisioned": "boolean", "machineState": "string", "machinePowered": "boolean",
			"hostname": "string", "dnsAttached": "boolean", "addresses": "array", "addresses[].type": "string", "addresses[].address": "string",
			"failureDomain": "string", "provisioningMode": "string", "vmName": "string", "lxdHost": "string", "lxdProject": "string",
			"lxdProfile": "string", "vmResourceUsage.allocatedCores": "integer", "vmResourceUsage.allocatedMemory": "integer",
			"vmResourceUsage.allocatedDisk": "integer", "conditions": "array", "failureReason": "string", "failureMessage": "string",
		},
		"maasmachinetemplates": {"capacity": "object", "nodeInfo.architecture": "string", "nodeInfo.operatingSystem": "string"},
	}
	for plural, fields := range map[string][]struct {
		prefix string
		types  map[string]string
	}{
		"maasclusters":         {{"spec.", clusterSpec}, {"status.", status["maasclusters"]}},
		"maasclustertemplates": {{"spec.template.spec.", clusterSpec}, {"spec.template.metadata.", map[string]string{"labels": "object", "annotations": "object"}}},
		"maasmachines":         {{"spec.", machineSpec}, {"status.", status["maasmachines"]}},
		"maasmachinetemplates": {
			{"spec.template.spec.", machineSpec},
			{"spec.template.metadata.", map[string]string{"labels": "object", "annotations": "object"}},
			{"status.", status["maasmachinetemplates"]},
		},
	} {
		t.Run(plural, func(t *testing.T) {
			t.Parallel()
			crd := readCRD(t, plural)
			for _, group := range fields {
				for path, want := range group.types {
					assert.Equal(t, want, schemaAt(t, crd, group.prefix+path)["type"], group.prefix+path)
				}
			}
		})
	}
}

func TestCRDs_demand_no_more_than_the_existing_provider(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		plural, path string
		required     []any
	}{
		{"maasclusters", "spec", []any{"dnsDomain"}},
		{"maasclusters", "status", []any{"ready"}},
		{"maasclustertemplates", "spec.template.spec", []any{"dnsDomain"}},
		{"maasmachines", "spec", []any{"image", "minCPU", "minMemory"}},
		{"maasmachines", "status", []any{"ready"}},
		{"maasmachinetemplates", "spec.template", []any{"spec"}},
		{"maasmachinetemplates", "spec.template.spec", []any{"image", "minCPU", "minMemory"}},
	} {
		assert.ElementsMatch(t, tc.required, schemaAt(t, readCRD(t, tc.plural), tc.path)["required"], "%s %s", tc.plural, tc.path)
	}
	endpoint := schemaAt(t, readCRD(t, "maasclusters"), "spec.controlPlaneEndpoint")
	assert.Nil(t, endpoint["required"], "host and port are optional")
}

func TestCRDs_default_what_the_existing_provider_defaults(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		plural, path string
		want         any
	}{
		{"maasclusters", "spec.lxdConfig.enabled", false},
		{"maasclusters", "spec.lxdConfig.storageBackend", "zfs"},
		{"maasclusters", "spec.lxdConfig.storageSize", "50"},
		{"maasclusters", "spec.lxdConfig.skipNetworkUpdate", true},
		{"maasclusters", "status.ready", false},
		{"maasmachines", "spec.deployInMemory", false},
		{"maasmachines", "spec.lxd.enabled", false},
		{"maasmachines", "spec.lxd.vmConfig.diskSize", int64(60)},
		{"maasmachines", "spec.lxd.vmConfig.autoStart", true},
		{"maasmachines", "status.ready", false},
		// A default here would make every object with lxd.enabled: true contradict itself.
		{"maasmachines", "spec.provisioningMode", nil},
	} {
		assert.EqualValues(t, tc.want, schemaAt(t, readCRD(t, tc.plural), tc.path)["default"], "%s %s", tc.plural, tc.path)
	}
}

func TestCRDs_R1_1_accept_both_spellings_of_bare_metal(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ plural, path string }{
		{"maasmachines", "spec.provisioningMode"},
		{"maasmachinetemplates", "spec.template.spec.provisioningMode"},
	} {
		assert.ElementsMatch(t, []any{"bare-metal", "baremetal", "lxd"}, schemaAt(t, readCRD(t, tc.plural), tc.path)["enum"])
	}
}

// Topology reconciliation dry-runs changed templates, and a transition rule can't tell a dry run apart.
func TestCRDs_let_templates_change(t *testing.T) {
	t.Parallel()
	for _, plural := range []string{"maasclustertemplates", "maasmachinetemplates"} {
		assert.NotContains(t, rules(t, readCRD(t, plural), "spec"), "oldSelf", plural)
		assert.NotContains(t, rules(t, readCRD(t, plural), "spec.template.spec"), "oldSelf", plural)
	}
	assert.Contains(t, rules(t, readCRD(t, "maasclusters"), "spec"), "self.dnsDomain == oldSelf.dnsDomain")
	assert.Contains(t, rules(t, readCRD(t, "maasmachines"), "spec"), "oldSelf.provisioningMode")
	for _, field := range []string{"image", "minCPU", "minMemory"} {
		assert.Contains(t, rules(t, readCRD(t, "maasmachines"), "spec"), "self."+field+" == oldSelf."+field)
	}
}

// rules returns the validation rules of the schema at a path, one a line.
func rules(t *testing.T, crd map[string]any, path string) string {
	t.Helper()
	list, _, err := unstructured.NestedSlice(schemaAt(t, crd, path), "x-kubernetes-validations")
	require.NoError(t, err)
	var out strings.Builder
	for _, rule := range list {
		fields, ok := rule.(map[string]any)
		require.True(t, ok)
		text, ok := fields["rule"].(string)
		require.True(t, ok)
		out.WriteString(text + "\n")
	}
	return out.String()
}

func TestCRDs_print_columns_for_kubectl_get(t *testing.T) {
	t.Parallel()
	for plural, want := range map[string]struct{ narrow, wide []string }{
		"maasclusters": {
			[]string{"Cluster", "Endpoint", "Zones", "Ready", "Pending Deletions", "Age"},
			[]string{"Port", "Reason", "DNS Domain"},
		},
		"maasclustertemplates": {[]string{"ClusterClass", "DNS Domain", "Age"}, nil},
		"maasmachines": {
			[]string{"Mode", "Zone", "Host", "Cores", "Memory", "State", "Ready", "Age"},
			[]string{"Reason", "System ID", "Provider ID", "VM Name", "Cluster"},
		},
		"maasmachinetemplates": {[]string{"Cluster", "Mode", "Cores", "Memory", "Image", "Age"}, []string{"Pool"}},
	} {
		t.Run(plural, func(t *testing.T) {
			t.Parallel()
			columns, found, err := unstructured.NestedSlice(version(t, readCRD(t, plural)), "additionalPrinterColumns")
			require.NoError(t, err)
			require.True(t, found)
			var narrow, wide []string
			for _, column := range columns {
				fields, ok := column.(map[string]any)
				require.True(t, ok)
				name, ok := fields["name"].(string)
				require.True(t, ok)
				if fields["priority"] == nil {
					narrow = append(narrow, name)
				} else {
					wide = append(wide, name)
				}
			}
			assert.Equal(t, want.narrow, narrow)
			assert.Equal(t, want.wide, wide)
		})
	}
}

func TestCRDs_explain_every_field(t *testing.T) {
	t.Parallel()
	for _, plural := range []string{"maasclusters", "maasclustertemplates", "maasmachines", "maasmachinetemplates"} {
		for _, part := range []string{"spec", "status"} {
			if plural == "maasclustertemplates" && part == "status" {
				continue
			}
			assertExplained(t, plural+"."+part, schemaAt(t, readCRD(t, plural), part))
		}
	}
}

func assertExplained(t *testing.T, path string, schema map[string]any) {
	t.Helper()
	assert.NotEmpty(t, schema["description"], path)
	properties, ok := schema["properties"].(map[string]any)
	if !ok {
		return
	}
	for name, property := range properties {
		fields, ok := property.(map[string]any)
		require.True(t, ok)
		assertExplained(t, path+"."+name, fields)
	}
}
