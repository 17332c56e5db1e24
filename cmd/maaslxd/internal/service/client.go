package service

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/peer"

	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// Cluster is the way through the Kubernetes API.
type Cluster interface {
	// Forward gives an address on loopback that leads to a ready pod of the service, until close is called.
	Forward(ctx context.Context, namespace string) (address string, stop func(), err error)
	// Certificates reads a Secret of certificates.
	Certificates(ctx context.Context, namespace, secret string) (*Certificates, error)
}

// Client reaches the three services over one connection.
type Client struct {
	// VMs are LXD VMs and their hosts.
	VMs lxdprovisionerv1.LXDProvisionerClient
	// Metal are physical machines.
	Metal lxdprovisionerv1.BareMetalProvisionerClient
	// Region is what MAAS has.
	Region lxdprovisionerv1.RegionProvisionerClient

	// Address is where the service was dialled, Way how: what a person is told of it.
	Address, Way string
	// Insecure says that everything goes in the clear.
	Insecure bool
	// Own is the client's certificate; nil where it has none.
	Own *tls.Certificate

	conn   *grpc.ClientConn
	stop   func()
	noted  *peer.Peer
	budget time.Duration
}

// Connect prepares the connection. A cluster, which may be nil, is asked where the options name no address or no
// certificates. Nothing is sent to the service before the first call.
func Connect(ctx context.Context, o *Options, cluster Cluster) (*Client, error) {
	c := &Client{Insecure: o.Insecure, Address: o.Address, Way: "at " + o.Address, stop: func() {}, noted: &peer.Peer{}, budget: o.Timeout}
	if o.Address == "" && cluster == nil {
		return nil, fmt.Errorf("no way to the service: give --address (or $%s), or a kubeconfig through which it is reached", AddressVariable)
	}
	transport, err := c.credentials(ctx, o, cluster)
	if err != nil {
		return nil, err
	}
	if o.Address == "" {
		if c.Address, c.stop, err = cluster.Forward(ctx, o.Namespace); err != nil {
			return nil, err
		}
		c.Way = "through the Kubernetes API, namespace " + o.Namespace
	}
	if c.conn, err = grpc.NewClient(c.Address, grpc.WithTransportCredentials(transport)); err != nil {
		c.stop()
		return nil, fmt.Errorf("dial the service %s: %w", c.Way, err)
	}
	c.VMs = lxdprovisionerv1.NewLXDProvisionerClient(c.conn)
	c.Metal = lxdprovisionerv1.NewBareMetalProvisionerClient(c.conn)
	c.Region = lxdprovisionerv1.NewRegionProvisionerClient(c.conn)
	return c, nil
}

// Close ends the connection.
func (c *Client) Close() error {
	err := c.conn.Close()
	c.stop()
	return err
}

// ServerCertificate is what the service showed in the last call of GetRegion; nil before it and in the clear.
func (c *Client) ServerCertificate() *tls.ConnectionState {
	if info, ok := c.noted.AuthInfo.(credentials.TLSInfo); ok {
		return &info.State
	}
	return nil
}

// GetRegion asks for the region and notes the certificate of the service.
func (c *Client) GetRegion(ctx context.Context) (*lxdprovisionerv1.GetRegionResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, c.budget)
	defer cancel()
	return c.Region.GetRegion(ctx, &lxdprovisionerv1.GetRegionRequest{}, grpc.Peer(c.noted))
}

func (c *Client) credentials(ctx context.Context, o *Options, cluster Cluster) (credentials.TransportCredentials, error) { //nolint:ireturn // gRPC's interface
	if o.Insecure {
		return insecure.NewCredentials(), nil
	}
	found, err := o.files()
	if err != nil {
		return nil, err
	}
	if found == nil {
		if found, err = fromCluster(ctx, o, cluster); err != nil {
			return nil, err
		}
	}
	config, err := found.config(o.ServerName)
	if err != nil {
		return nil, err
	}
	if len(config.Certificates) > 0 {
		c.Own = &config.Certificates[0]
	}
	return credentials.NewTLS(config), nil
}

// fromCluster reads the operator's certificate from its Secret.
func fromCluster(ctx context.Context, o *Options, cluster Cluster) (*Certificates, error) {
	if cluster == nil {
		return nil, errors.New("no certificates: give --tls-dir, or --cert, --key and --ca, or --insecure for a service that speaks in the clear")
	}
	found, err := cluster.Certificates(ctx, o.Namespace, OperatorSecret)
	if err != nil {
		return nil, fmt.Errorf("no certificates: none are named by --tls-dir, and the operator's could not be had: %w; --insecure is for a service that speaks in the clear", err)
	}
	return found, nil
}
