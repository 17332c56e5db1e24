package command

import (
	"slices"

	"github.com/spf13/cobra"

	"github.com/capmaas/capmaas/cmd/maaslxd/internal/view"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// vmFilter says which VMs are shown.
type vmFilter struct{ zone, host, cluster string }

// leavesOut says whether a VM is not shown. A cluster is named with or without its namespace.
func (f vmFilter) leavesOut(vm *lxdprovisionerv1.VM) bool {
	mark := vm.GetStatus().GetOwner()
	return f.host != "" && f.host != vm.GetHostName() && f.host != vm.GetHostId() ||
		f.cluster != "" && f.cluster != mark.GetCluster() && f.cluster != mark.GetNamespace()+"/"+mark.GetCluster()
}

func newVMs(s *session) *cobra.Command {
	var filter vmFilter
	cmd := &cobra.Command{
		Use: "vms", Short: "List VMs with their owners, hosts, zones and states", Args: cobra.NoArgs,
		Example: "  maaslxd vms\n  maaslxd vms --host lxd-3\n  maaslxd vms --cluster default/alpha -o yaml",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, end, err := s.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer end()
			s.progress.Stepf("Listing the VMs, which takes MAAS 30 ms each")
			vms, err := c.ListVMs(cmd.Context(), filter.zone)
			if err != nil {
				return err
			}
			return s.print(view.NewVMList(slices.DeleteFunc(vms, filter.leavesOut)))
		},
	}
	cmd.Flags().StringVar(&filter.zone, "zone", "", "only VMs of this zone")
	cmd.Flags().StringVar(&filter.host, "host", "", "only VMs on this host, by name or id")
	cmd.Flags().StringVar(&filter.cluster, "cluster", "", "only VMs of this MaasCluster: NAME or NAMESPACE/NAME")
	return cmd
}
