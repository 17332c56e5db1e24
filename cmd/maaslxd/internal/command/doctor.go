package command

import (
	"github.com/spf13/cobra"

	"github.com/capmaas/capmaas/cmd/maaslxd/internal/diagnosis"
)

func newDoctor(s *session) *cobra.Command {
	var wants diagnosis.Wants
	cmd := &cobra.Command{
		Use: "doctor", Short: "Check the connection, MAAS and the management cluster, and say what to do", Args: cobra.NoArgs,
		Long: `doctor checks what capmaas depends on: the connection and its certificates, versions, MAAS's key, user and rights, the
hosts with their LXD projects, zones, images and the DNS domain, and, with a kubeconfig, the custom resources, the
deployments and the conditions of MaasClusters. Each finding says what to do. The exit status is 1 when something is
wrong.`,
		Example: "  maaslxd doctor\n  maaslxd doctor --image ubuntu/noble --dns-domain maas -o json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			doctor := diagnosis.Doctor{
				Version: s.Version, Clock: s.Clock, Wants: wants, Step: func(text string) { s.progress.Stepf("%s", text) },
				Connect: s.connect, Access: s.access,
			}
			report := doctor.Examine(cmd.Context())
			if err := s.print(report); err != nil {
				return err
			}
			if !report.Healthy {
				return ErrFound
			}
			return nil
		},
	}
	cmd.Flags().StringSliceVar(&wants.Images, "image", nil, "images that MAAS must have, for example ubuntu/noble; those that machines ask for are looked for anyway")
	cmd.Flags().StringSliceVar(&wants.Domains, "dns-domain", nil, "DNS domains that MAAS must have; those of MaasClusters are looked for anyway")
	return cmd
}
