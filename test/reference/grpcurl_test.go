package reference_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

func TestGrpcurl_page_calls_every_RPC(t *testing.T) {
	t.Parallel()
	text := readPage(t, "docs/grpcurl.md")
	for _, service := range []grpc.ServiceDesc{
		lxdprovisionerv1.LXDProvisioner_ServiceDesc, lxdprovisionerv1.BareMetalProvisioner_ServiceDesc, lxdprovisionerv1.RegionProvisioner_ServiceDesc,
	} {
		require.NotEmpty(t, service.Methods)
		for _, m := range service.Methods {
			assert.Contains(t, text, "$S "+service.ServiceName+"/"+m.MethodName)
		}
		for _, s := range service.Streams {
			assert.Contains(t, text, "$S "+service.ServiceName+"/"+s.StreamName)
		}
	}
}
