package command

import (
	"context"
	"errors"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/capmaas/capmaas/cmd/maaslxd/internal/output"
	"github.com/capmaas/capmaas/cmd/maaslxd/internal/view"
)

// Statuses of the process.
const (
	done     = 0
	found    = 1
	misspelt = 2
)

// pluginPrefix begins the name of a program that kubectl runs as a command of its own.
const pluginPrefix = "kubectl-"

// Run runs the command and gives the exit status: 0 when all is well, 1 when something is wrong or could not be done, 2 when
// the command line is wrong.
func Run(ctx context.Context, in Invocation) int {
	s := newSession(in)
	root := newRoot(s) //nolint:contextcheck // cobra hands the context to each command
	root.SetArgs(in.Args)
	root.SetIn(in.In)
	root.SetOut(in.Out)
	root.SetErr(in.Err)
	err := root.ExecuteContext(ctx)
	s.progress.Clear()
	switch {
	case err == nil:
		return done
	case errors.Is(err, ErrFound):
		return found
	}
	_ = output.Printer{Out: in.Err, Format: output.Table, Style: s.style(in.ErrorTerminal)}.Print(view.NewFailure(err)) // tables always print
	if !s.begun {
		return misspelt
	}
	return found
}

func newRoot(s *session) *cobra.Command {
	root := &cobra.Command{
		Use:   "maaslxd",
		Short: "See and plan LXD machines on MAAS",
		Long: `maaslxd shows an operator what the provisioning service of capmaas knows and decides: which LXD hosts there are and
how full they are, where machines would go and why not elsewhere, how a machine came to be where it is, what is left
behind, and whether everything is set up as it should be.

It speaks to the service at --address, or through the Kubernetes API of the current kubeconfig. It changes nothing but
by "orphans --delete" and "orphans --forget".`,
		SilenceErrors: true, SilenceUsage: true,
		PersistentPreRun: func(*cobra.Command, []string) { s.begun = true },
	}
	if strings.HasPrefix(filepath.Base(s.Program), pluginPrefix) {
		root.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl maaslxd"}
	}
	flags := root.PersistentFlags()
	s.service.AddFlags(flags, s.Getenv)
	s.cluster.AddFlags(flags)
	flags.VarP(&s.format, "output", "o", "how the answer is written: "+strings.Join(output.Formats(), ", "))
	_ = root.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(toCompletions(output.Formats()), cobra.ShellCompDirectiveNoFileComp)) // the flag stands above
	root.AddCommand(newHosts(s), newVMs(s), newPlan(s), newExplain(s), newOrphans(s), newDrain(s), newDoctor(s), newVersion(s))
	return root
}

func toCompletions(words []string) []cobra.Completion {
	all := make([]cobra.Completion, 0, len(words))
	all = append(all, words...)
	return all
}
