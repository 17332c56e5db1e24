package command

import (
	"runtime"

	"github.com/spf13/cobra"

	"github.com/capmaas/capmaas/cmd/maaslxd/internal/view"
)

func newVersion(s *session) *cobra.Command {
	var ask bool
	cmd := &cobra.Command{
		Use: "version", Short: "Print the version of the command and, with --service, of service and MAAS", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			v := &view.Version{Client: s.Version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
			if !ask {
				return s.print(v)
			}
			c, end, err := s.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer end()
			region, err := c.GetRegion(cmd.Context())
			if err != nil {
				return err
			}
			v.Service, v.MAAS = region.GetServiceVersion(), region.GetMaasVersion()
			return s.print(v)
		},
	}
	cmd.Flags().BoolVar(&ask, "service", false, "ask the service for its version and MAAS's")
	return cmd
}
