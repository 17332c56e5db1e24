package provisioner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/health" // lets the service config's health check take effect
	"google.golang.org/grpc/keepalive"

	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
	"github.com/capmaas/capmaas/proto/mtls"
)

// callDeadline bounds every call of a reconcile: Cluster API ends a reconcile after a minute, and the service goes on
// with what it has sent when its caller is gone.
const callDeadline = 10 * time.Second

// listDeadline bounds a list of VMs, which takes MAAS 30 ms a VM and is asked for by no reconcile.
const listDeadline = 100 * time.Second

// One replica is talked to at a time, so that the service's ledger, its joined calls and its polling stay whole
// (docs/protocol-coverage.md 6.3); its own health decides when to turn to another.
const serviceConfig = `{
  "loadBalancingConfig": [{"pick_first": {"shuffleAddressList": true}}],
  "healthCheckConfig": {"serviceName": ""}
}`

// Client reaches the three services of the provisioner over one connection.
type Client struct {
	// VMs makes and removes LXD VMs.
	VMs lxdprovisionerv1.LXDProvisionerClient
	// Metal takes and gives back physical machines.
	Metal lxdprovisionerv1.BareMetalProvisionerClient
	// Region keeps DNS records and tells what MAAS has.
	Region lxdprovisionerv1.RegionProvisionerClient

	conn *grpc.ClientConn
	// unwatch ends the metrics of the certificates.
	unwatch func()
}

// DialOptions say how the provisioner is reached.
type DialOptions struct {
	// Address is host:port, or any target that gRPC resolves.
	Address string
	// TLSDir holds tls.crt, tls.key and ca.crt, which are read anew for each connection. ServerName is the name that the
	// provisioner's certificate must bear; mtls.ServerName where empty.
	TLSDir, ServerName string
	// Insecure sends everything, user data with its join tokens too, in the clear. TLSDir must be empty then.
	Insecure bool
	// Unreadable is told why the files of TLSDir can't be read anew; nil for nobody.
	Unreadable func(error)
	// Dialer replaces the network; for tests that serve in memory.
	Dialer func(context.Context, string) (net.Conn, error)
}

// Dial prepares the connection. Nothing is sent before the first call, so an address where nobody listens is no error.
func Dial(options DialOptions) (*Client, error) {
	if options.Address == "" {
		return nil, fmt.Errorf("dial the provisioner: no address")
	}
	transport, err := options.transport()
	if err != nil {
		return nil, fmt.Errorf("dial the provisioner at %s: %w", options.Address, err)
	}
	noted := &handshakes{serverName: options.serverName(), clear: options.Insecure}
	dial := []grpc.DialOption{
		grpc.WithTransportCredentials(&watchedCredentials{TransportCredentials: transport, noted: noted}),
		grpc.WithDefaultServiceConfig(serviceConfig),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
		grpc.WithChainUnaryInterceptor(noted.unary, withDeadline),
	}
	dial = append(dial, observed()...)
	if options.Dialer != nil {
		dial = append(dial, grpc.WithContextDialer(options.Dialer))
	}
	conn, err := grpc.NewClient(Target(options.Address), dial...)
	if err != nil {
		return nil, fmt.Errorf("dial the provisioner at %s: %w", options.Address, err)
	}
	return &Client{
		VMs:    lxdprovisionerv1.NewLXDProvisionerClient(conn),
		Metal:  lxdprovisionerv1.NewBareMetalProvisionerClient(conn),
		Region: lxdprovisionerv1.NewRegionProvisionerClient(conn),
		conn:   conn,

		unwatch: watched(transport),
	}, nil
}

func (o DialOptions) transport() (credentials.TransportCredentials, error) { //nolint:ireturn // gRPC's interface
	switch {
	case o.Insecure && o.TLSDir != "":
		return nil, errors.New("certificates are given and are not to be used: leave out one of the two")
	case o.Insecure:
		return insecure.NewCredentials(), nil
	case o.TLSDir == "":
		return nil, errors.New("no certificates are given")
	default:
		return mtls.Client(mtls.Config{Dir: o.TLSDir, ServerName: o.serverName(), Unreadable: o.Unreadable})
	}
}

// watched tells of certificates, where there are any, until the function that it gives is called.
func watched(transport credentials.TransportCredentials) (stop func()) {
	if own, ok := transport.(*mtls.Credentials); ok {
		return certificateEnds.watch(own)
	}
	return func() {}
}

func (o DialOptions) serverName() string { return cmp.Or(o.ServerName, mtls.ServerName) }

// Close ends the connection.
func (c *Client) Close() error {
	c.unwatch()
	return c.conn.Close()
}

// Target gives the gRPC target of an address: names go through DNS, so that every replica behind a headless Service is
// known; a literal IP and anything that names its scheme stay as they are.
func Target(address string) string {
	if strings.Contains(address, ":///") || strings.HasPrefix(address, "unix:") || strings.HasPrefix(address, "passthrough:") {
		return address
	}
	host, _, err := net.SplitHostPort(address)
	if err == nil && net.ParseIP(host) != nil {
		return "passthrough:///" + address
	}
	return "dns:///" + address
}

// withDeadline gives every call a deadline of its own; an earlier one of the caller stays.
//
//nolint:revive // gRPC names the arguments
func withDeadline(
	ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption,
) error {
	deadline := callDeadline
	if method == lxdprovisionerv1.LXDProvisioner_ListVMs_FullMethodName {
		deadline = listDeadline
	}
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	return invoke(ctx, method, req, reply, cc, opts...)
}
