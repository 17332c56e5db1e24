package command

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/cmd/maaslxd/internal/cluster"
	"github.com/capmaas/capmaas/cmd/maaslxd/internal/relocation"
	"github.com/capmaas/capmaas/cmd/maaslxd/internal/service"
	"github.com/capmaas/capmaas/cmd/maaslxd/internal/view"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

func newDrain(s *session) *cobra.Command {
	var plan bool
	cmd := &cobra.Command{
		Use: "drain HOST --plan", Short: "Plan where the machines of a host could go; nothing is changed", Args: cobra.ExactArgs(1),
		Long: `drain --plan lists the VMs on a host, the Machine of each, and where each could be made anew, all of them together. A VM is
never moved: its Machine is deleted and Cluster API makes another one. The command only plans; the answer ends with how
to go about it. The exit status is 1 when a VM has no place.`,
		Example: "  maaslxd drain lxd-3 --plan",
		RunE: func(cmd *cobra.Command, args []string) error {
			if !plan {
				s.begun = false
				return errors.New("drain only plans: add --plan")
			}
			return s.drain(cmd.Context(), args[0])
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return s.hostNames(cmd.Context(), args), cobra.ShellCompDirectiveNoFileComp
		},
	}
	cmd.Flags().BoolVar(&plan, "plan", false, "plan, and change nothing")
	return cmd
}

// hostNames completes the one argument.
func (s *session) hostNames(ctx context.Context, args []string) []cobra.Completion {
	if len(args) > 0 {
		return nil
	}
	c, end, err := s.connect(ctx)
	if err != nil {
		return nil
	}
	defer end()
	hosts, _, err := c.Hosts(ctx, "", "")
	if err != nil {
		return nil
	}
	var names []cobra.Completion
	for _, h := range hosts {
		names = append(names, h.GetName())
	}
	return names
}

func (s *session) drain(ctx context.Context, name string) error {
	c, end, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer end()
	s.progress.Stepf("Listing the hosts")
	hosts, _, err := c.Hosts(ctx, "", "")
	if err != nil {
		return err
	}
	host, err := hostNamed(hosts, name)
	if err != nil {
		return err
	}
	s.progress.Stepf("Listing the VMs, which takes MAAS 30 ms each")
	vms, err := c.ListVMs(ctx, host.GetZone())
	if err != nil {
		return err
	}
	d := &drain{session: s, host: host, hosts: hosts, owners: map[string]owner{}}
	if d.access, err = s.access(); err != nil && !errors.Is(err, cluster.ErrNone) {
		return err
	}
	return d.plan(ctx, c, vms)
}

func hostNamed(hosts []*lxdprovisionerv1.Host, name string) (*lxdprovisionerv1.Host, error) {
	for _, h := range hosts {
		if h.GetName() == name || h.GetId() == name {
			return h, nil
		}
	}
	return nil, fmt.Errorf("no host %q; maaslxd hosts lists them", name)
}

// owner is whose a VM is.
type owner struct {
	maasMachine *infrav1.MaasMachine
	machine     *clusterv1.Machine
}

// drain is one plan in the making.
type drain struct {
	*session

	host   *lxdprovisionerv1.Host
	hosts  []*lxdprovisionerv1.Host
	access *cluster.Access
	// owners are by the VM's name.
	owners map[string]owner
}

func (d *drain) plan(ctx context.Context, c *service.Client, vms []*lxdprovisionerv1.VM) error {
	var holdings *cluster.Holdings
	var err error
	if d.access != nil {
		d.progress.Stepf("Reading the objects")
		if holdings, err = d.access.ReadHoldings(ctx); err != nil {
			return err
		}
	}
	result := view.NewDrain(d.host, holdings != nil)
	var wants []relocation.Want
	for _, vm := range vms {
		if vm.GetHostId() != d.host.GetId() {
			continue
		}
		request, note, err := d.wanted(ctx, vm, holdings)
		if err != nil {
			return err
		}
		if request == nil {
			result.Stay(vm, note)
			continue
		}
		wants = append(wants, relocation.Want{VM: vm, Request: request})
	}
	d.progress.Stepf("Looking for a place for each of %d VMs", len(wants))
	within, cancel := c.Within(ctx)
	defer cancel()
	places, err := relocation.Plan(within, c.VMs, d.host.GetId(), d.hosts, wants)
	if err != nil {
		return err
	}
	for _, p := range places {
		d.add(result, p)
	}
	if err := d.print(result); err != nil {
		return err
	}
	if !result.Fits {
		return ErrFound
	}
	return nil
}

// wanted is what would be asked for a VM that takes the place of vm; nil, with why, where nobody would ask.
func (d *drain) wanted(ctx context.Context, vm *lxdprovisionerv1.VM, h *cluster.Holdings) (*lxdprovisionerv1.SelectHostRequest, string, error) {
	mark := vm.GetStatus().GetOwner()
	if h == nil {
		if mark == nil {
			return nil, "not marked as ours", nil
		}
		zone := vm.GetZone()
		return &lxdprovisionerv1.SelectHostRequest{
			VmName: vm.GetName(), Resources: vm.GetResources(), Placement: &lxdprovisionerv1.Placement{Zone: given(zone)},
		}, "", nil
	}
	m := h.Machine(mark)
	if m == nil {
		kind, _ := h.Of(vm)
		return nil, "no MaasMachine here (" + string(kind) + "): it is not made anew", nil
	}
	machine, err := d.access.OwnerOf(ctx, m)
	if err != nil {
		return nil, "", err
	}
	d.owners[vm.GetName()] = owner{maasMachine: m, machine: machine}
	request := h.Replacement(m, machine)
	request.VmName = vm.GetName()
	return request, "", nil
}

func (d *drain) add(result *view.Drain, p relocation.Place) {
	own := d.owners[p.VM.GetName()]
	var machine, maasMachine string
	controlPlane := false
	if m := own.maasMachine; m != nil {
		maasMachine = m.Namespace + "/" + m.Name
		_, controlPlane = m.Labels[clusterv1.MachineControlPlaneLabel]
	} else if mark := p.VM.GetStatus().GetOwner(); mark != nil {
		maasMachine = mark.GetNamespace() + "/" + mark.GetMachine()
	}
	if own.machine != nil {
		machine = own.machine.Namespace + "/" + own.machine.Name
	}
	result.Add(p, machine, maasMachine, controlPlane)
}
