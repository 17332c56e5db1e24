package server_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/capmaas/capmaas/proto/errorinfo"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// texts are the strings that must be more than any string.
var texts = map[protoreflect.FullName]string{
	"lxdprovisioner.v1.ListHostsRequest.page_token":      "vmhost/12 lxd-1",
	"lxdprovisioner.v1.StaticIP.address":                 "10.10.0.7",
	"lxdprovisioner.v1.StaticIP.gateway":                 "10.10.0.1",
	"lxdprovisioner.v1.StaticIP.dns_servers":             "10.10.0.2",
	"lxdprovisioner.v1.StaticIP.subnet":                  "10.10.0.0/16",
	"lxdprovisioner.v1.VMNetwork.preferred_subnets":      "10.20.0.0/16",
	"lxdprovisioner.v1.EnsureEndpointRequest.addresses":  "10.10.0.9",
	"lxdprovisioner.v1.WatchVMsResponse.gone":            "",
	"lxdprovisioner.v1.WatchMachinesResponse.gone":       "",
	"lxdprovisioner.v1.GetRegionResponse.problem_reason": "",
}

// fill sets every field of the message to something that is not its default.
func fill(m protoreflect.Message) {
	for i := range m.Descriptor().Fields().Len() {
		f := m.Descriptor().Fields().Get(i)
		switch {
		case f.IsList() && f.Message() != nil:
			element := m.Mutable(f).List().AppendMutable()
			fill(element.Message())
		case f.IsList():
			m.Mutable(f).List().Append(value(f))
		case f.Message() != nil && f.Message().FullName() == "google.protobuf.Timestamp":
			m.Set(f, protoreflect.ValueOfMessage((&timestamppb.Timestamp{Seconds: 1_700_000_000}).ProtoReflect()))
		case f.Message() != nil:
			fill(m.Mutable(f).Message())
		default:
			m.Set(f, value(f))
		}
	}
}

func value(f protoreflect.FieldDescriptor) protoreflect.Value {
	switch f.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(true)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(f.Enum().Values().Get(f.Enum().Values().Len() - 1).Number())
	case protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(int32(f.Number()) + 40)
	case protoreflect.Int64Kind:
		return protoreflect.ValueOfInt64(int64(f.Number()) + 4000)
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte(f.Name()))
	case protoreflect.StringKind:
		if text, special := texts[f.FullName()]; special {
			return protoreflect.ValueOfString(text)
		}
		return protoreflect.ValueOfString(string(f.Name()))
	default:
		panic(fmt.Sprintf("fill knows no %s", f.Kind()))
	}
}

// leaves gives the path of every field that is set and holds no message.
func leaves(m protoreflect.Message, above []protoreflect.FieldDescriptor) [][]protoreflect.FieldDescriptor {
	var all [][]protoreflect.FieldDescriptor
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		here := append(slices.Clone(above), f)
		switch {
		case f.IsList() && f.Message() != nil:
			all = append(all, leaves(v.List().Get(0).Message(), here)...)
		case f.Message() != nil && f.Message().FullName() != "google.protobuf.Timestamp":
			all = append(all, leaves(v.Message(), here)...)
		default:
			all = append(all, here)
		}
		return true
	})
	return all
}

// without gives a copy of the message in which the field at the path is not set, and the path's text.
func without(whole proto.Message, path []protoreflect.FieldDescriptor) (proto.Message, string) {
	part := proto.Clone(whole)
	m, text := part.ProtoReflect(), ""
	for i, f := range path {
		text += "." + string(f.Name())
		switch {
		case i == len(path)-1:
			m.Clear(f)
		case f.IsList():
			m = m.Mutable(f).List().Get(0).Message()
		default:
			m = m.Mutable(f).Message()
		}
	}
	return part, text[1:]
}

func TestRequests_every_field_reaches_the_use_case(t *testing.T) {
	t.Parallel()
	for _, m := range methods(t) {
		t.Run(string(m.Name()), func(t *testing.T) {
			t.Parallel()
			d := &desk{}
			conn := dial(t, d)
			request := message(t, m.Input())
			fill(request.ProtoReflect())
			ask := func(request proto.Message) any {
				_, err := call(t, conn, m, request)
				if err != nil && !strings.Contains(err.Error(), "EOF") {
					return err.Error()
				}
				return d.asked
			}
			whole := ask(request)
			refusal, refused := whole.(string)
			require.False(t, refused, "the whole request is refused: %s", refusal)
			for _, leaf := range leaves(request.ProtoReflect(), nil) {
				part, path := without(request, leaf)
				assert.NotEqual(t, whole, ask(part), "%s changes nothing in what the use case is asked", path)
			}
		})
	}
}

func TestRequests_addresses_that_the_rules_let_pass_are_refused_with_their_path(t *testing.T) {
	t.Parallel()
	client := lxdprovisionerv1.NewLXDProvisionerClient(dial(t, &desk{}))
	zone, notCIDR := "fe80::1%eth0", "10.0.0.1"
	for path, network := range map[string]*lxdprovisionerv1.VMNetwork{
		"network.static_ip.address":        {StaticIp: &lxdprovisionerv1.StaticIP{Address: zone}},
		"network.static_ip.gateway":        {StaticIp: &lxdprovisionerv1.StaticIP{Address: "10.0.0.1", Gateway: &zone}},
		"network.static_ip.subnet":         {StaticIp: &lxdprovisionerv1.StaticIP{Address: "10.0.0.1", Subnet: &notCIDR}},
		"network.static_ip.dns_servers[1]": {StaticIp: &lxdprovisionerv1.StaticIP{Address: "10.0.0.1", DnsServers: []string{"10.0.0.2", zone}}},
		"network.preferred_subnets[0]":     {PreferredSubnets: []string{notCIDR}},
	} {
		for name, err := range map[string]error{
			"SelectHost":            second(client.SelectHost(t.Context(), &lxdprovisionerv1.SelectHostRequest{Network: network})),
			"DistributeAcrossZones": second(client.DistributeAcrossZones(t.Context(), &lxdprovisionerv1.DistributeAcrossZonesRequest{Network: network})),
			"ComposeVM":             second(client.ComposeVM(t.Context(), &lxdprovisionerv1.ComposeVMRequest{Network: network})),
			"DeployVM":              second(client.DeployVM(t.Context(), &lxdprovisionerv1.DeployVMRequest{Network: network})),
		} {
			info, ours := errorinfo.From(err)
			require.True(t, ours, "%s: %v", name, err)
			assert.Equal(t, lxdprovisionerv1.Reason_REASON_BAD_REQUEST, info.Reason)
			assert.Contains(t, info.Fields, path)
		}
	}
	_, err := lxdprovisionerv1.NewRegionProvisionerClient(dial(t, &desk{})).EnsureEndpoint(t.Context(),
		&lxdprovisionerv1.EnsureEndpointRequest{Addresses: []string{zone}})
	info, _ := errorinfo.From(err)
	assert.Contains(t, info.Fields, "addresses[0]")
}

func second[T proto.Message](_ T, err error) error { return err }
