package command

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/capmaas/capmaas/api/records"
	"github.com/capmaas/capmaas/cmd/maaslxd/internal/cluster"
	"github.com/capmaas/capmaas/cmd/maaslxd/internal/view"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// orphanage is what the orphans command was told.
type orphanage struct {
	*session

	remove, yes    bool
	forget, reason string
	wait           time.Duration
	answers        *bufio.Reader
	access         *cluster.Access
	holdings       *cluster.Holdings
	vms            []*lxdprovisionerv1.VM
	list           *view.OrphanList
}

func newOrphans(s *session) *cobra.Command {
	o := &orphanage{session: s, answers: bufio.NewReader(s.In)}
	cmd := &cobra.Command{
		Use: "orphans [NAME...]", Short: "List VMs that belong to no MaasMachine, and ask for them to be removed",
		Long: `orphans compares the VMs of MAAS with the MaasMachines of all namespaces (-n limits it to the clusters of one).

With --delete it asks the manager to delete the orphans that are named, or all: by an annotation of their MaasCluster. The
manager looks for itself, waits until a VM has had no owner for an hour, and deletes with proof. VMs without a mark, or of
clusters that are not here, are never deleted.

With --forget it gives up a pending deletion, for a host that never returns: nothing is deleted any more, and the cluster
can go.`,
		Example: "  maaslxd orphans\n  maaslxd orphans --delete alpha-md-0-x7k2p-a1b2c\n  maaslxd orphans --forget alpha-md-0-x7k2p --reason 'rack burnt down'",
		RunE: func(cmd *cobra.Command, names []string) error {
			if err := o.check(names); err != nil {
				s.begun = false
				return err
			}
			return o.run(cmd.Context(), names)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.remove, "delete", false, "ask the manager to delete the orphans that are named, or all")
	f.StringVar(&o.forget, "forget", "", "give up the pending deletion of this MaasMachine or VM")
	f.StringVar(&o.reason, "reason", "given up by an operator", "why it is given up")
	f.BoolVar(&o.yes, "yes", false, "do not ask for confirmation")
	f.DurationVar(&o.wait, "wait", 30*time.Second, "how long to wait for the manager to take up what is asked; 0 to not wait")
	return cmd
}

func (o *orphanage) check(names []string) error {
	switch {
	case o.remove && o.forget != "":
		return errors.New("--delete and --forget exclude each other")
	case len(names) > 0 && !o.remove:
		return errors.New("names are for --delete")
	default:
		return nil
	}
}

func (o *orphanage) run(ctx context.Context, names []string) error {
	var err error
	if o.access, err = o.session.access(); err != nil {
		return err
	}
	if o.forget != "" {
		return o.giveUp(ctx)
	}
	if err := o.look(ctx); err != nil {
		return err
	}
	if !o.remove {
		return o.print(o.list)
	}
	chosen, err := o.list.Choose(names)
	if err != nil {
		return err
	}
	if len(chosen) == 0 {
		return o.print(o.list)
	}
	if err := o.ask(ctx, chosen); err != nil {
		return err
	}
	if err := o.print(o.list); err != nil {
		return err
	}
	for _, answer := range o.list.Answered {
		if answer.Refused {
			return ErrFound
		}
	}
	return nil
}

// look reads the VMs first and the objects then: what is being made stands in an object before MAAS shows it.
func (o *orphanage) look(ctx context.Context) error {
	c, end, err := o.connect(ctx)
	if err != nil {
		return err
	}
	defer end()
	o.progress.Stepf("Listing the VMs, which takes MAAS 30 ms each")
	if o.vms, err = c.ListVMs(ctx, ""); err != nil {
		return err
	}
	o.progress.Stepf("Reading the objects")
	if o.holdings, err = o.access.ReadHoldings(ctx); err != nil {
		return err
	}
	o.list, err = view.NewOrphanList(o.vms, o.holdings, o.cluster.Namespace)
	return err
}

// ask asks for each cluster's orphans to be removed, once a person has said yes.
func (o *orphanage) ask(ctx context.Context, chosen []view.Selection) error {
	for _, s := range chosen {
		if err := o.confirm(o.question(s)); err != nil {
			return err
		}
		removal, err := o.access.AskToRemove(ctx, client.ObjectKey{Namespace: s.Namespace, Name: s.Name}, s.VMs)
		if err != nil {
			return err
		}
		answer := view.Answer{MaasCluster: s.Namespace + "/" + s.Name, VMs: s.VMs, Outcome: "the manager was asked to delete them"}
		if o.wait > 0 {
			if err := o.await(ctx, removal, &answer); err != nil {
				return err
			}
		}
		o.list.Answered = append(o.list.Answered, answer)
	}
	return nil
}

func (o *orphanage) await(ctx context.Context, removal *cluster.Removal, answer *view.Answer) error {
	o.progress.Stepf("Waiting for the manager to take up the request to %s", answer.MaasCluster)
	refusal, taken, err := removal.Wait(ctx, o.wait)
	switch {
	case err != nil:
		return err
	case !taken:
		answer.Outcome = "asked for; the manager has not taken it up: it waits until a VM has had no owner for an hour, and the request stays"
	case refusal != "":
		answer.Outcome, answer.Refused = "refused: "+refusal, true
	default:
		answer.Outcome = "taken up: they are deleted with proof, and stand on the list of pending deletions meanwhile"
	}
	return nil
}

// question tells how many of a cluster's VMs are meant.
func (o *orphanage) question(s view.Selection) string {
	all := 0
	for _, vm := range o.vms {
		if _, home := o.holdings.Of(vm); home != nil && home.Namespace == s.Namespace && home.Name == s.Name {
			all++
		}
	}
	text := fmt.Sprintf("Delete %d of the %d VMs that are marked for MaasCluster %s/%s: %s", len(s.VMs), all, s.Namespace, s.Name, strings.Join(s.VMs, ", "))
	if len(s.VMs)*records.UnconfirmedShare > all {
		text += ". That is more than a tenth of them"
	}
	return text
}

// confirm asks a person.
func (o *orphanage) confirm(question string) error {
	if o.yes {
		return nil
	}
	o.progress.Clear()
	fmt.Fprintf(o.Err, "%s. Type yes to go on: ", question)
	answer, err := o.answers.ReadString('\n')
	if strings.TrimSpace(answer) == "yes" {
		return nil
	}
	if err != nil {
		fmt.Fprintln(o.Err)
	}
	return errors.New("nothing was changed: not confirmed (--yes confirms)")
}

// giveUp takes a pending deletion off its cluster's list.
func (o *orphanage) giveUp(ctx context.Context) error {
	holdings, err := o.access.ReadHoldings(ctx)
	if err != nil {
		return err
	}
	key, err := o.pendingAt(holdings)
	if err != nil {
		return err
	}
	if err := o.confirm(fmt.Sprintf("Give up deleting %s of MaasCluster %s: its VMs stay where they are, unless their host returns and somebody deletes them", o.forget, key)); err != nil {
		return err
	}
	vms, err := o.access.Forget(ctx, key, o.forget, o.reason, o.Clock())
	if err != nil {
		return err
	}
	o.progress.Notef("Gave up %s.", strings.Join(vms, ", "))
	return nil
}

// pendingAt finds the one cluster that has the deletion.
func (o *orphanage) pendingAt(h *cluster.Holdings) (client.ObjectKey, error) {
	var keys []client.ObjectKey
	for i := range h.Clusters {
		c := &h.Clusters[i]
		if o.cluster.Namespace != "" && c.Namespace != o.cluster.Namespace {
			continue
		}
		pending, err := records.Deletions(c)
		if err != nil {
			return client.ObjectKey{}, err
		}
		for _, d := range pending {
			if d.Is(o.forget) {
				keys = append(keys, client.ObjectKeyFromObject(c))
			}
		}
	}
	switch len(keys) {
	case 0:
		return client.ObjectKey{}, fmt.Errorf("no pending deletion of %s; maaslxd orphans lists them", o.forget)
	case 1:
		return keys[0], nil
	default:
		return client.ObjectKey{}, fmt.Errorf("%d pending deletions of %s: name the VM instead, or the namespace with -n", len(keys), o.forget)
	}
}
