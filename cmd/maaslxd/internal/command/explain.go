package command

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/capmaas/capmaas/cmd/maaslxd/internal/cluster"
	"github.com/capmaas/capmaas/cmd/maaslxd/internal/service"
	"github.com/capmaas/capmaas/cmd/maaslxd/internal/view"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

func newExplain(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "explain MACHINE", Short: "Tell how a machine came to be where it is, or why it is not up", Args: cobra.ExactArgs(1),
		Long: `explain follows one machine from its MaasMachine over its host to what MAAS says of it, with its conditions, its attempts
and its events. MACHINE is the name of the MaasMachine, of its Machine or of its VM, or its system id. Where the service
does not answer, what Kubernetes has is told alone.`,
		Example: "  maaslxd explain alpha-control-plane-x7k2p -n clusters",
		RunE: func(cmd *cobra.Command, args []string) error {
			access, err := s.access()
			if err != nil {
				return err
			}
			s.progress.Stepf("Reading the objects")
			story, err := access.Tell(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			explanation := view.NewExplanation(story)
			if err := s.askMAAS(cmd.Context(), story, explanation); err != nil {
				explanation.Trouble = view.NewFailure(err)
			}
			return s.print(explanation)
		},
	}
}

// askMAAS adds what the service knows of the host and the machine.
func (s *session) askMAAS(ctx context.Context, story *cluster.Story, e *view.Explanation) error {
	attempt, owner := story.VM()
	metal := story.Metal()
	if attempt == nil && metal == nil {
		return nil
	}
	c, end, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer end()
	s.progress.Stepf("Asking MAAS")
	ctx, cancel := c.Within(ctx)
	defer cancel()
	if attempt == nil {
		answer, err := c.Metal.GetMachine(ctx, &lxdprovisionerv1.GetMachineRequest{Machine: metal})
		if err != nil {
			return err
		}
		m := answer.GetMachine()
		e.SetStatus(m.GetStatus().GetHostname(), m.GetSystemId(), m.GetZone(), m.GetStatus())
		return nil
	}
	if err := findHost(ctx, c, attempt.GetHostId(), e); err != nil {
		return err
	}
	answer, err := c.VMs.GetVM(ctx, &lxdprovisionerv1.GetVMRequest{Attempt: attempt, Owner: owner})
	if err != nil {
		return err
	}
	vm := answer.GetVm()
	e.SetStatus(vm.GetName(), vm.GetSystemId(), vm.GetZone(), vm.GetStatus())
	return nil
}

// findHost adds the host; one that MAAS has no more is told by GetVM.
func findHost(ctx context.Context, c *service.Client, id string, e *view.Explanation) error {
	hosts, _, err := c.Hosts(ctx, "", "")
	if err != nil {
		return err
	}
	for _, h := range hosts {
		if h.GetId() == id {
			host := view.NewHost(h)
			e.Host = &host
		}
	}
	return nil
}
