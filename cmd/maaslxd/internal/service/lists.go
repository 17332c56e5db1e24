package service

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc"

	"github.com/capmaas/capmaas/proto/errorinfo"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

const (
	// page is how many VMs are asked for at a time, the contract's limit.
	page = 1000
	// pause is waited before a call is repeated that is busy and does not say for how long.
	pause = 2 * time.Second
)

// Hosts lists the hosts of a zone and a resource pool, of all where these are empty, and what the list was made from.
func (c *Client) Hosts(ctx context.Context, zone, pool string) ([]*lxdprovisionerv1.Host, *lxdprovisionerv1.SnapshotInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, c.budget)
	defer cancel()
	request := &lxdprovisionerv1.ListHostsRequest{Zone: optional(zone), ResourcePool: optional(pool)}
	var hosts []*lxdprovisionerv1.Host
	for {
		answer, err := patiently(ctx, c.VMs.ListHosts, request)
		if err != nil {
			return nil, nil, fmt.Errorf("list the hosts: %w", err)
		}
		hosts = append(hosts, answer.GetHosts()...)
		if answer.GetNextPageToken() == "" {
			return hosts, answer.GetSnapshot(), nil
		}
		request.PageToken = answer.GetNextPageToken()
	}
}

// ListVMs lists the composed VMs of a zone, or of all, with our mark or our shape of name.
func (c *Client) ListVMs(ctx context.Context, zone string) ([]*lxdprovisionerv1.VM, error) {
	ctx, cancel := context.WithTimeout(ctx, c.budget)
	defer cancel()
	request := &lxdprovisionerv1.ListVMsRequest{Zone: optional(zone), PageSize: new(int32(page))}
	var vms []*lxdprovisionerv1.VM
	for {
		answer, err := patiently(ctx, c.VMs.ListVMs, request)
		if err != nil {
			return nil, fmt.Errorf("list the VMs: %w", err)
		}
		vms = append(vms, answer.GetVms()...)
		if answer.GetNextPageToken() == "" {
			return vms, nil
		}
		request.PageToken = answer.GetNextPageToken()
	}
}

// Within gives a context that ends when the time for the service is over.
func (c *Client) Within(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, c.budget)
}

// patiently repeats a call that reads for as long as the service is busy with it: the same call finds it done later.
func patiently[Q, A any](ctx context.Context, call func(context.Context, Q, ...grpc.CallOption) (A, error), request Q) (A, error) {
	for {
		answer, err := call(ctx, request)
		info, ours := errorinfo.From(err)
		if err == nil || !ours || info.Kind != errorinfo.Busy {
			return answer, err
		}
		wait := info.RetryAfter
		if wait <= 0 {
			wait = pause
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return answer, err
		case <-timer.C:
		}
	}
}

func optional(value string) *string {
	if value == "" {
		return nil
	}
	return &value
}
