package command

import (
	"github.com/spf13/cobra"

	"github.com/capmaas/capmaas/cmd/maaslxd/internal/view"
)

func newHosts(s *session) *cobra.Command {
	var zone, pool string
	cmd := &cobra.Command{
		Use: "hosts", Short: "List LXD hosts by zone, how full they are, and why a host is unusable", Args: cobra.NoArgs,
		Example: "  maaslxd hosts\n  maaslxd hosts --zone az1 -o json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, end, err := s.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer end()
			s.progress.Stepf("Listing the hosts")
			hosts, snapshot, err := c.Hosts(cmd.Context(), zone, pool)
			if err != nil {
				return err
			}
			return s.print(view.NewHostList(hosts, snapshot))
		},
	}
	cmd.Flags().StringVar(&zone, "zone", "", "only hosts of this zone")
	cmd.Flags().StringVar(&pool, "pool", "", "only hosts of this resource pool")
	return cmd
}
