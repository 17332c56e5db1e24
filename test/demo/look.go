package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/capmaas/capmaas/proto/errorinfo"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// lookAt shows the machines through kubectl, the hosts by zone through grpcurl, and why a VM of an
// impossible size would fit nowhere.
func (c *cluster) lookAt(ctx context.Context, s *screen) error {
	if err := c.kubectl(ctx, s, "get", "maasmachines", "-o", "wide"); err != nil {
		return err
	}
	hosts, err := c.listHosts(ctx, s)
	if err != nil {
		return err
	}
	s.raw(byZone(hosts))
	_, err = c.hosts.SelectHost(ctx, &lxdprovisionerv1.SelectHostRequest{
		VmName: "too-big", DryRun: true,
		Resources: &lxdprovisionerv1.VMResources{Cores: 512, MemoryMib: 4096, Disks: []*lxdprovisionerv1.Disk{{SizeGb: 20}}},
	})
	info, ok := errorinfo.From(err)
	if !ok {
		return fmt.Errorf("a VM of 512 cores should be refused with a reason: %w", errors.Join(err, errors.New("it was not")))
	}
	s.raw(fmt.Sprintf("\na VM of 512 cores: %s: %s", errorinfo.Word(info.Reason), info.Message))
	return nil
}

func (c *cluster) kubectl(ctx context.Context, s *screen, args ...string) error {
	s.raw("\n$ kubectl " + strings.Join(args, " "))
	cmd := exec.CommandContext(ctx, "kubectl", append([]string{"--namespace", namespace}, args...)...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+c.Kubeconfig)
	out, err := cmd.CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		s.raw("kubectl is not installed: the table above shows the same machines")
		return nil
	}
	s.raw(string(out))
	if err != nil {
		return fmt.Errorf("run kubectl: %w", err)
	}
	return nil
}

// listHosts asks for the hosts through grpcurl, or through our own client where grpcurl is missing.
func (c *cluster) listHosts(ctx context.Context, s *screen) ([]*lxdprovisionerv1.Host, error) {
	args := append(c.GRPCurl(), c.Service, lxdprovisionerv1.LXDProvisioner_ServiceDesc.ServiceName+"/ListHosts")
	s.raw("\n$ grpcurl " + strings.Join(args, " ") + "   (by zone)")
	out, err := exec.CommandContext(ctx, "grpcurl", args...).Output()
	if errors.Is(err, exec.ErrNotFound) {
		answer, err := c.hosts.ListHosts(ctx, &lxdprovisionerv1.ListHostsRequest{})
		return answer.GetHosts(), err
	}
	if err != nil {
		return nil, fmt.Errorf("run grpcurl: %w", err)
	}
	answer := &lxdprovisionerv1.ListHostsResponse{}
	if err := protojson.Unmarshal(out, answer); err != nil {
		return nil, fmt.Errorf("read grpcurl's answer: %w", err)
	}
	return answer.GetHosts(), nil
}

func byZone(hosts []*lxdprovisionerv1.Host) string {
	slices.SortFunc(hosts, func(a, b *lxdprovisionerv1.Host) int {
		return cmp.Or(strings.Compare(a.GetZone(), b.GetZone()), strings.Compare(a.GetName(), b.GetName()))
	})
	lines := make([]row, 0, len(hosts))
	for _, h := range hosts {
		lines = append(lines, row{name: h.GetZone(), cells: []string{
			h.GetName(), h.GetResourcePool(),
			fmt.Sprintf("%d of %d cores", h.GetUsed().GetCores(), h.GetTotal().GetCores()),
			fmt.Sprintf("%d of %d MiB", h.GetUsed().GetMemoryMib(), h.GetTotal().GetMemoryMib()),
		}})
	}
	return table([]string{"ZONE", "HOST", "POOL", "USED", "MEMORY"}, lines)
}
