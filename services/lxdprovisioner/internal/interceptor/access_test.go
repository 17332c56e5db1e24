package interceptor_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	grpcprom "github.com/grpc-ecosystem/go-grpc-middleware/providers/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/capmaas/capmaas/proto/errorinfo"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
	"github.com/capmaas/capmaas/proto/mtls"
	"github.com/capmaas/capmaas/proto/mtls/mtlstest"
	"github.com/capmaas/capmaas/proto/provisionertest"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/interceptor"
)

// methods are those of the contract.
func methods() []protoreflect.MethodDescriptor {
	var all []protoreflect.MethodDescriptor
	for _, file := range []protoreflect.FileDescriptor{
		lxdprovisionerv1.File_lxdprovisioner_v1_lxd_provisioner_proto,
		lxdprovisionerv1.File_lxdprovisioner_v1_bare_metal_provisioner_proto,
		lxdprovisionerv1.File_lxdprovisioner_v1_region_provisioner_proto,
	} {
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			for j := range service.Methods().Len() {
				all = append(all, service.Methods().Get(j))
			}
		}
	}
	return all
}

func level(m protoreflect.MethodDescriptor) descriptorpb.MethodOptions_IdempotencyLevel {
	options, _ := m.Options().(*descriptorpb.MethodOptions)
	return options.GetIdempotencyLevel()
}

// TestContract demands of a new RPC that it says what it is: without, operators can't call it, and
// nobody has thought about whether they should.
func TestContract_says_of_every_RPC_whether_it_only_reads(t *testing.T) {
	t.Parallel()
	want := map[descriptorpb.MethodOptions_IdempotencyLevel][]string{
		descriptorpb.MethodOptions_NO_SIDE_EFFECTS: {
			"ListHosts", "DistributeAcrossZones", "GetVM", "ListVMs", "WatchVMs", "GetMachine", "WatchMachines",
			"GetEndpoint", "ListZones", "ListResourcePools", "ListSubnets", "ListImages", "GetRegion",
		},
		descriptorpb.MethodOptions_IDEMPOTENT: {
			"SelectHost", "ComposeVM", "DeployVM", "DeleteVM", "AllocateMachine", "DeployMachine", "ReleaseMachine",
			"EnsureEndpoint", "DeleteEndpoint", "TakeOverMachine", "PowerOnMachine",
		},
	}
	got := map[descriptorpb.MethodOptions_IdempotencyLevel][]string{}
	for _, m := range methods() {
		got[level(m)] = append(got[level(m)], string(m.Name()))
		if m.IsStreamingServer() {
			assert.Equal(t, descriptorpb.MethodOptions_NO_SIDE_EFFECTS, level(m), "%s: streams are judged without their request", m.Name())
		}
	}
	assert.Empty(t, got[descriptorpb.MethodOptions_IDEMPOTENCY_UNKNOWN], "give the method in the .proto an idempotency_level, and a place in this table")
	for level, names := range want {
		assert.ElementsMatch(t, names, got[level], "%s", level)
	}
}

// guarded is a server behind the whole chain that knows its callers by their certificates.
type guarded struct {
	*provisionertest.Fake

	authority *mtlstest.Authority
	address   string
	audits    book
}

func newGuarded(t *testing.T, access interceptor.Access) *guarded {
	t.Helper()
	authority, err := mtlstest.NewAuthority("callers", time.Now)
	require.NoError(t, err)
	g := &guarded{Fake: provisionertest.New(provisionertest.Config{Hosts: []provisionertest.Host{{Name: "lxd-1"}, {Name: "lxd-2"}}}), authority: authority}
	dir := t.TempDir()
	require.NoError(t, authority.Mount(dir, mtlstest.Subject{DNSNames: []string{mtls.ServerName}}))
	transport, err := mtls.Server(mtls.Config{Dir: dir})
	require.NoError(t, err)
	options, err := interceptor.ServerOptions(interceptor.Config{
		Logger: slog.New(slog.DiscardHandler), Audit: slog.New(slog.NewJSONHandler(&g.audits, nil)),
		Metrics: grpcprom.NewServerMetrics(), Clock: time.Now, Streams: interceptor.NewStreams(), Access: &access,
	})
	require.NoError(t, err)
	server := grpc.NewServer(append(options, grpc.Creds(transport))...)
	g.Register(server)
	healthpb.RegisterHealthServer(server, health.NewServer())
	reflection.Register(server)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	g.address = listener.Addr().String()
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		assert.NoError(t, <-served)
	})
	return g
}

// as connects with a certificate of the subject.
func (g *guarded) as(t *testing.T, s mtlstest.Subject) *grpc.ClientConn {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, g.authority.Mount(dir, s))
	transport, err := mtls.Client(mtls.Config{Dir: dir, ServerName: mtls.ServerName})
	require.NoError(t, err)
	conn, err := grpc.NewClient(g.address, grpc.WithTransportCredentials(transport))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, conn.Close()) })
	return conn
}

// try calls a method with an empty request and gives the code.
func try(t *testing.T, conn *grpc.ClientConn, m protoreflect.MethodDescriptor) codes.Code {
	t.Helper()
	name := "/" + string(m.Parent().FullName()) + "/" + string(m.Name())
	request, response := dynamicpb.NewMessage(m.Input()), dynamicpb.NewMessage(m.Output())
	if !m.IsStreamingServer() {
		return status.Code(conn.Invoke(t.Context(), name, request, response))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, name)
	require.NoError(t, err)
	require.NoError(t, errors.Join(stream.SendMsg(request), stream.CloseSend()))
	return status.Code(stream.RecvMsg(response))
}

// reflects says with which code the caller is told of the services.
func reflects(t *testing.T, conn *grpc.ClientConn) codes.Code {
	t.Helper()
	stream, err := reflectionpb.NewServerReflectionClient(conn).ServerReflectionInfo(t.Context())
	require.NoError(t, err)
	err = stream.Send(&reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}})
	if !errors.Is(err, io.EOF) {
		require.NoError(t, err)
	}
	_, err = stream.Recv()
	return status.Code(err)
}

func rules() interceptor.Access {
	return interceptor.Access{Managers: []string{"capmaas-manager", "spiffe://prod/manager"}, Operators: []string{"capmaas-operator"}}
}

func TestAccess_every_RPC_is_open_to_whom_the_contract_says(t *testing.T) {
	t.Parallel()
	writing := rules()
	writing.OperatorsMayWrite = true
	for name, c := range map[string]struct {
		access        interceptor.Access
		subject       mtlstest.Subject
		reads, writes bool
	}{
		"a_manager_by_common_name":             {rules(), mtlstest.Subject{CommonName: "capmaas-manager"}, true, true},
		"a_manager_by_DNS_name":                {rules(), mtlstest.Subject{DNSNames: []string{"other", "capmaas-manager"}}, true, true},
		"a_manager_by_URI":                     {rules(), mtlstest.Subject{URIs: []string{"spiffe://prod/manager"}}, true, true},
		"a_manager_that_is_an_operator_too":    {rules(), mtlstest.Subject{CommonName: "capmaas-operator", DNSNames: []string{"capmaas-manager"}}, true, true},
		"an_operator":                          {rules(), mtlstest.Subject{CommonName: "capmaas-operator"}, true, false},
		"an_operator_that_may_write":           {writing, mtlstest.Subject{CommonName: "capmaas-operator"}, true, true},
		"somebody_else_of_the_same_authority":  {writing, mtlstest.Subject{CommonName: "somebody"}, false, false},
		"somebody_without_a_name":              {writing, mtlstest.Subject{}, false, false},
		"somebody_whose_names_join_to_another": {interceptor.Access{Managers: []string{"a,b"}}, mtlstest.Subject{DNSNames: []string{"a", "b"}}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGuarded(t, c.access)
			conn := g.as(t, c.subject)
			for _, m := range methods() {
				allowed := c.writes
				if level(m) == descriptorpb.MethodOptions_NO_SIDE_EFFECTS {
					allowed = c.reads
				}
				assert.Equal(t, allowed, try(t, conn, m) != codes.PermissionDenied, "%s", m.Name())
			}
			_, err := healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{})
			assert.Equal(t, c.reads, err == nil, "health: %v", err)
			assert.Equal(t, c.reads, reflects(t, conn) == codes.OK, "reflection")
		})
	}
}

func TestAccess_an_operator_may_ask_where_a_VM_would_go_and_take_no_room(t *testing.T) {
	t.Parallel()
	g := newGuarded(t, rules())
	lxd := lxdprovisionerv1.NewLXDProvisionerClient(g.as(t, mtlstest.Subject{CommonName: "capmaas-operator"}))
	request := &lxdprovisionerv1.SelectHostRequest{
		VmName: "probe", DryRun: true,
		Resources: &lxdprovisionerv1.VMResources{Cores: 1, MemoryMib: 1024, Disks: []*lxdprovisionerv1.Disk{{SizeGb: 10}}},
	}
	_, err := lxd.SelectHost(t.Context(), request)
	require.NoError(t, err)
	request.DryRun = false
	_, err = lxd.SelectHost(t.Context(), request)
	assert.Equal(t, codes.PermissionDenied, status.Code(err))
}

func TestAccess_a_refusal_says_who_may_and_what_to_do(t *testing.T) {
	t.Parallel()
	g := newGuarded(t, rules())
	for name, want := range map[string][]string{
		"capmaas-operator": {`operator "capmaas-operator" may only read`, "DeleteVM", "capmaas-manager", "--operators-may-write"},
		"somebody":         {`"somebody"`, "capmaas-manager", "capmaas-operator", "--manager-identity", "--operator-identity"},
	} {
		_, err := lxdprovisionerv1.NewLXDProvisionerClient(g.as(t, mtlstest.Subject{CommonName: name})).DeleteVM(t.Context(), remove())
		info, ours := errorinfo.From(err)
		require.True(t, ours, "%v", err)
		assert.Equal(t, errorinfo.Forbidden, info.Kind)
		assert.Equal(t, lxdprovisionerv1.Reason_REASON_CALLER_NOT_ALLOWED, info.Reason)
		for _, words := range want {
			assert.Contains(t, info.Message, words)
		}
	}
	assert.Empty(t, provisionertest.Requests[*lxdprovisionerv1.DeleteVMRequest](g.Fake), "nothing was done")
}

func remove() *lxdprovisionerv1.DeleteVMRequest {
	return &lxdprovisionerv1.DeleteVMRequest{
		Attempts: []*lxdprovisionerv1.Attempt{
			{Number: 1, Name: "cp-0-a", HostId: "vmhost/1", HostName: "lxd-1", SystemId: "abc123"},
			{Number: 2, Name: "cp-0-b", HostId: "vmhost/2", HostName: "lxd-2"},
		},
		Owner: &lxdprovisionerv1.Owner{ClusterId: "c", Namespace: "default", Cluster: "prod", Machine: "m-0", MachineUid: "u"},
	}
}

// records gives the lines of the record.
func (g *guarded) records(t *testing.T) []map[string]any {
	t.Helper()
	var all []map[string]any
	for line := range strings.Lines(g.audits.String()) {
		record := map[string]any{}
		require.NoError(t, json.Unmarshal([]byte(line), &record))
		all = append(all, record)
	}
	return all
}

func TestAudit_has_one_line_for_each_call_that_changes_something(t *testing.T) {
	t.Parallel()
	g := newGuarded(t, rules())
	conn := g.as(t, mtlstest.Subject{CommonName: "capmaas-manager"})
	lxd := lxdprovisionerv1.NewLXDProvisionerClient(conn)
	_, err := lxd.ListHosts(t.Context(), &lxdprovisionerv1.ListHostsRequest{})
	require.NoError(t, err)
	require.Empty(t, g.records(t), "who only reads leaves no line")

	_, err = lxd.DeleteVM(t.Context(), remove())
	require.NoError(t, err)
	records := g.records(t)
	require.Len(t, records, 1)
	for key, want := range map[string]any{
		"logger": "audit", "caller": "capmaas-manager", "method": "lxdprovisioner.v1.LXDProvisioner/DeleteVM", "vm": "cp-0-a,cp-0-b",
		"host": "lxd-1,lxd-2", "systemID": "abc123", "maasMachine": "default/m-0", "code": "OK",
	} {
		assert.Equal(t, want, records[0][key], key)
	}
	assert.Contains(t, records[0]["peer"], "127.0.0.1:")
	assert.Positive(t, records[0]["took"])
}

func TestAudit_tells_what_was_refused_and_to_whom_and_no_user_data(t *testing.T) {
	t.Parallel()
	g := newGuarded(t, rules())
	operator := g.as(t, mtlstest.Subject{CommonName: "capmaas-operator"})
	_, err := lxdprovisionerv1.NewLXDProvisionerClient(operator).DeployVM(t.Context(), deploy())
	require.Error(t, err)
	stranger := g.as(t, mtlstest.Subject{CommonName: "somebody", DNSNames: []string{"elsewhere"}})
	_, err = lxdprovisionerv1.NewLXDProvisionerClient(stranger).ListHosts(t.Context(), &lxdprovisionerv1.ListHostsRequest{})
	require.Error(t, err)
	stream, err := lxdprovisionerv1.NewLXDProvisionerClient(stranger).WatchVMs(t.Context(), watch())
	require.NoError(t, err)
	_, err = stream.Recv()
	require.Error(t, err)
	manager := g.as(t, mtlstest.Subject{CommonName: "capmaas-manager"})
	g.FailNext("DeployVM", provisionertest.Fault(errorinfo.Refused, lxdprovisionerv1.Reason_REASON_VM_DEPLOYMENT_FAILED, "curtin failed"))
	_, err = lxdprovisionerv1.NewLXDProvisionerClient(manager).DeployVM(t.Context(), deploy())
	require.Error(t, err)

	var told [][4]any
	for _, r := range g.records(t) {
		told = append(told, [4]any{r["caller"], r["method"], r["code"], r["reason"]})
	}
	assert.Equal(t, [][4]any{
		{"capmaas-operator", "lxdprovisioner.v1.LXDProvisioner/DeployVM", "PermissionDenied", "CALLER_NOT_ALLOWED"},
		{"somebody,elsewhere", "lxdprovisioner.v1.LXDProvisioner/ListHosts", "PermissionDenied", "CALLER_NOT_ALLOWED"},
		{"somebody,elsewhere", "lxdprovisioner.v1.LXDProvisioner/WatchVMs", "PermissionDenied", "CALLER_NOT_ALLOWED"},
		{"capmaas-manager", "lxdprovisioner.v1.LXDProvisioner/DeployVM", "Aborted", "VM_DEPLOYMENT_FAILED"},
	}, told)
	assert.NotContains(t, g.audits.String(), secret)
}

func TestAudit_says_that_nobody_has_proved_who_they_are(t *testing.T) {
	t.Parallel()
	w := newWorld(t, &handler{deploy: func(context.Context) error { return nil }})
	_, err := w.client.DeployVM(t.Context(), deploy())
	require.NoError(t, err)
	assert.Contains(t, w.audits.String(), `"caller":"(unproved)"`)
	assert.Contains(t, w.audits.String(), `"vm":"cp-0"`)
	assert.NotContains(t, w.audits.String(), secret)
}
