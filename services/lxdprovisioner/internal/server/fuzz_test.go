package server_test

import (
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/capmaas/capmaas/proto/provisionertest"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/server"
)

// FuzzRequests gives requests to every method, as they come through whatever the rules of the contract let pass. What can't be
// converted is INVALID_ARGUMENT and names the field.
func FuzzRequests(f *testing.F) {
	for _, request := range []string{
		`{}`, `null`, `{"attempt":{"name":"a","hostId":"vmhost/1","sentAt":"0001-01-01T00:00:00Z"},"resources":{"cores":-1,"disks":[{}]}}`,
		`{"network":{"staticIps":[{"address":"::ffff:10.0.0.1","subnet":"10.0.0.0/99","dnsServers":["x"]}]}}`, `{"network":{"static":{"address":"fe80::1%eth0"}}}`,
		`{"endpoint":{"name":"."},"addresses":["10.0.0.1","::1","1"],"ttlSeconds":-5}`, `{"pageSize":-1,"pageToken":"\u0000"}`, `{"image":"a/b/c","userData":"AA=="}`,
		`{"vms":[{}],"machines":[{}]}`, `{"constraints":{"minCores":2147483647,"tags":[""]}}`, `{"attempts":[{"number":-1}],"hosts":[{}]}`,
	} {
		f.Add(request)
	}
	s := grpc.NewServer()
	d := newDesk()
	server.New(server.Config{Hosts: d, VMs: d, BareMetal: d, Region: d, Version: "v1.2.3"}).Register(s)
	conn := provisionertest.Serve(f, s)
	f.Fuzz(func(t *testing.T, text string) {
		for _, m := range methods(t) {
			request := message(t, m.Input())
			if (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal([]byte(text), request) != nil {
				continue
			}
			_, err := call(t, conn, m, request)
			if err == nil || errors.Is(err, io.EOF) {
				continue
			}
			require.Equal(t, codes.InvalidArgument, status.Code(err), "%s: %v", m.Name(), err)
			var named []string
			for _, detail := range status.Convert(err).Details() {
				if bad, ok := detail.(*errdetails.BadRequest); ok {
					named = append(named, bad.GetFieldViolations()[0].GetField())
				}
			}
			require.Len(t, named, 1, "%s: %v", m.Name(), err)
			require.NotEmpty(t, named[0])
		}
	})
}
