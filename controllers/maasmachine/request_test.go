package maasmachine_test

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/controllers/maasmachine"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

func TestAttemptName_X1_2_belongs_to_one_machine_and_one_attempt(t *testing.T) {
	t.Parallel()
	valid := regexp.MustCompile(`^[a-z]([a-z0-9-]*[a-z0-9])?$`)
	seen := map[string]string{}
	names := []string{"cp-0", "CP.0", "cp.0", "0day", strings.Repeat("a", 63), strings.Repeat("a", 63) + "b", strings.Repeat("x.", 126), "-"}
	for _, machine := range names {
		for _, uid := range []types.UID{"u1", "u2"} {
			for number := range int32(3) {
				name := maasmachine.AttemptName(machine, uid, number)
				assert.Regexp(t, valid, name, machine)
				assert.LessOrEqual(t, len(name), 63, machine)
				assert.Equal(t, name, maasmachine.AttemptName(machine, uid, number))
				key := fmt.Sprintf("%s/%d", uid, number)
				if other, taken := seen[name]; taken {
					assert.Equal(t, key, other, "%s is the name of two attempts", name)
				}
				seen[name] = key
			}
		}
	}
}

// vmRequest is all that a VM's spec turns into.
func vmRequest(t *testing.T, spec *infrav1.MaasMachineSpec) string {
	t.Helper()
	network, err := maasmachine.NetworkOf(spec, nil)
	require.NoError(t, err)
	parts := []proto.Message{
		maasmachine.ResourcesOf(spec), maasmachine.PlacementOf(spec, maasmachine.ZoneOf(nil, spec)), maasmachine.ImageOf(spec),
	}
	if network != nil {
		parts = append(parts, network)
	}
	text := fmt.Sprint(maasmachine.AntiAffinity(spec), maasmachine.Unsupported(spec), spec.Mode())
	for _, part := range parts {
		text += "\n" + prototext.MarshalOptions{Multiline: false}.Format(part)
	}
	return strings.ReplaceAll(text, "  ", " ")
}

// metalRequest is all that a physical machine's spec turns into.
func metalRequest(spec *infrav1.MaasMachineSpec) string {
	text := fmt.Sprint(spec.Mode())
	for _, part := range []proto.Message{maasmachine.ConstraintsOf(spec, maasmachine.ZoneOf(nil, spec)), maasmachine.MetalDeployment(spec)} {
		text += "\n" + prototext.MarshalOptions{Multiline: false}.Format(part)
	}
	return strings.ReplaceAll(text, "  ", " ")
}

// without lists the fields that change no request, and why.
var without = map[string]string{
	"SystemID":                        "written by the controller",
	"ProviderID":                      "written by the controller",
	"Parent":                          "kept so that manifests stay valid; nothing has ever read it",
	"LXD.VMConfig.InterfaceLinkModes": "kept so that manifests stay valid; the service links NICs by their subnets",
	"LXD.VMConfig.AutoStart":          "kept so that manifests stay valid; MAAS has no such setting",
}

func TestSpec_P4_every_field_changes_the_request_or_says_why_not(t *testing.T) {
	t.Parallel()
	walked := map[string]bool{}
	walk(reflect.TypeFor[infrav1.MaasMachineSpec](), nil, func(path []int, name string) {
		walked[name] = true
		t.Run(name, func(t *testing.T) {
			vm, metal := baseSpec(infrav1.ModeLXD), baseSpec(infrav1.ModeBareMetal)
			vmBefore, metalBefore := vmRequest(t, vm), metalRequest(metal)
			set(t, vm, path)
			set(t, metal, path)
			changed := vmRequest(t, vm) != vmBefore || metalRequest(metal) != metalBefore
			_, listed := without[name]
			assert.NotEqual(t, listed, changed, "a field is either heard or listed with its reason")
		})
	})
	for name := range without {
		assert.True(t, walked[name], "%s is listed and no field any more", name)
	}
}

func baseSpec(mode infrav1.ProvisioningMode) *infrav1.MaasMachineSpec {
	return &infrav1.MaasMachineSpec{
		ProvisioningMode: mode, MinCPU: new(int32(1)), MinMemory: new(int32(1)), Image: "ubuntu/jammy",
		// A static address gives the fields beside it something to stand on.
		StaticIP: nil,
	}
}

// walk calls do for every leaf below a struct type.
func walk(t reflect.Type, path []int, do func(path []int, name string), names ...string) {
	for i := range t.NumField() {
		field := t.Field(i)
		at, named := append(append([]int{}, path...), i), append(append([]string{}, names...), field.Name)
		inner := field.Type
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Struct && inner != reflect.TypeFor[intstr.IntOrString]() {
			walk(inner, at, do, named...)
			continue
		}
		do(at, strings.Join(named, "."))
	}
}

// samples are values for fields that do not take just any.
var samples = map[string]any{
	"Image": "custom/other", "ProvisioningMode": infrav1.ProvisioningMode(""), "PlacementPolicy": infrav1.PlacementPack,
	"AntiAffinity": infrav1.AntiAffinityRequired, "AddressFamilies": []infrav1.AddressFamily{infrav1.IPv6},
	// The API server writes true wherever it is left out.
	"AutoStart": new(false), "IPAddress": "10.0.0.9", "IP": "10.0.0.9", "Subnet": "10.0.0.0/24", "CIDR": "10.0.0.0/24", "Gateway": "10.0.0.1",
}

// set gives the leaf at path a value that it does not have yet.
func set(t *testing.T, spec *infrav1.MaasMachineSpec, path []int) {
	t.Helper()
	v, name := reflect.ValueOf(spec).Elem(), ""
	for _, i := range path {
		if v.Kind() == reflect.Pointer {
			if v.IsNil() {
				v.Set(reflect.New(v.Type().Elem()))
			}
			v = v.Elem()
		}
		name = v.Type().Field(i).Name
		v = v.Field(i)
	}
	if sample, ok := samples[name]; ok {
		v.Set(reflect.ValueOf(sample))
		return
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString("a-value")
	case reflect.Int32:
		v.SetInt(77)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Slice:
		v.Set(reflect.ValueOf([]string{"a-value"}))
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]string{"eth0": "dhcp"}))
	case reflect.Struct:
		v.Set(reflect.ValueOf(intstr.FromInt32(77)))
	default:
		t.Fatalf("no sample for a %s", v.Kind())
	}
}

func TestPlacementOf_R1_4_turns_the_spec_into_must_and_wish(t *testing.T) {
	t.Parallel()
	spec := &infrav1.MaasMachineSpec{
		ResourcePool: new("lxd"), Tags: []string{"ssd"}, FailureDomain: new("az1"),
		LXDConfig: &infrav1.LXDConfig{
			VMHost: "lxd-1", Project: "maas", PlacementPolicy: infrav1.PlacementSpread,
			HostSelection: &infrav1.LXDHostSelection{PreferredHosts: []string{"lxd-2"}, AvailabilityZones: []string{"az2"}, Tags: []string{"kvm"}},
		},
	}
	owner := &clusterv1.Machine{Spec: clusterv1.MachineSpec{FailureDomain: "az3"}}
	want := &lxdprovisionerv1.Placement{
		Zone: new("az3"), ResourcePools: []string{"lxd"}, Tags: []string{"kvm", "ssd"}, AllowedHosts: []string{"lxd-1"},
		PreferredHosts: []string{"lxd-2"}, Project: new("maas"),
		Policy: lxdprovisionerv1.PlacementPolicy_PLACEMENT_POLICY_SPREAD,
	}
	got := maasmachine.PlacementOf(spec, maasmachine.ZoneOf(owner, spec))
	assert.True(t, proto.Equal(want, got), "the Machine's failure domain is a must and silences the wish for zones:\n%s", prototext.Format(got))
	assert.Equal(t, "az1", maasmachine.ZoneOf(&clusterv1.Machine{}, spec), "else the spec's own")
	free := spec.DeepCopy()
	free.FailureDomain = nil
	assert.Equal(t, []string{"az2"}, maasmachine.PlacementOf(free, "").GetZones())
}

func TestNetworkOf_gives_each_bridge_and_subnet_a_NIC(t *testing.T) {
	t.Parallel()
	spec := &infrav1.MaasMachineSpec{
		LXD:       &infrav1.MachineLXDConfig{VMConfig: &infrav1.VMConfig{Network: "nodes, storage"}},
		LXDConfig: &infrav1.LXDConfig{Network: &infrav1.LXDNetwork{Bridge: "br0", Devices: []string{"br1", "br2"}}},
	}
	got, err := maasmachine.NetworkOf(spec, []string{"10.0.0.0/8"})
	require.NoError(t, err)
	want := &lxdprovisionerv1.VMNetwork{
		Interfaces: []*lxdprovisionerv1.VMInterface{
			{Bridge: new("br0"), Subnet: new("nodes")}, {Bridge: new("br1"), Subnet: new("storage")}, {Bridge: new("br2")},
		},
		PreferredSubnets: []string{"10.0.0.0/8"},
	}
	assert.True(t, proto.Equal(want, got), prototext.Format(got))
	none, err := maasmachine.NetworkOf(&infrav1.MaasMachineSpec{}, nil)
	require.NoError(t, err)
	assert.Nil(t, none)
}

func TestGroupOf_keeps_control_planes_and_deployments_apart(t *testing.T) {
	t.Parallel()
	cp := map[string]string{clusterv1.MachineControlPlaneLabel: ""}
	md := map[string]string{clusterv1.MachineDeploymentNameLabel: "md-0", clusterv1.MachineSetNameLabel: "md-0-x"}
	assert.Equal(t, "id/control-plane", maasmachine.GroupOf("id", nil, cp))
	assert.Equal(t, "id/md-0", maasmachine.GroupOf("id", md, nil))
	assert.Equal(t, "id/workers", maasmachine.GroupOf("id", nil, nil))
}
