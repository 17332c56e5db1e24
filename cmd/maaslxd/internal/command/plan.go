package command

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/capmaas/capmaas/cmd/maaslxd/internal/advice"
	"github.com/capmaas/capmaas/cmd/maaslxd/internal/output"
	"github.com/capmaas/capmaas/cmd/maaslxd/internal/service"
	"github.com/capmaas/capmaas/cmd/maaslxd/internal/view"
	"github.com/capmaas/capmaas/proto/errorinfo"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

// planned is the name under which a VM is asked for that nobody will make.
const planned = "maaslxd-plan"

var policies = map[string]lxdprovisionerv1.PlacementPolicy{
	"balanced": lxdprovisionerv1.PlacementPolicy_PLACEMENT_POLICY_BALANCED,
	"pack":     lxdprovisionerv1.PlacementPolicy_PLACEMENT_POLICY_PACK,
	"spread":   lxdprovisionerv1.PlacementPolicy_PLACEMENT_POLICY_SPREAD,
}

// wish is what a plan asks for.
type wish struct {
	count, cores         int32
	memory, disk         *quantity
	storagePool, policy  string
	zones, pools, tags   []string
	hosts, without       []string
	project, arch        string
	bridge, subnet       string
	asMany, antiAffinity bool
}

func newPlan(s *session) *cobra.Command {
	w := wish{memory: newMemory("4GiB"), disk: newDisk("60GB")}
	cmd := &cobra.Command{
		Use: "plan", Short: "Plan where VMs would go, and why not elsewhere; nothing is made", Args: cobra.NoArgs,
		Long: `plan asks the service where so many VMs of a size would go. Nothing is made and nothing is noted. For one VM it ranks all
hosts that fit. The exit status is 1 when not all of them fit.`,
		Example: "  maaslxd plan --count 3 --cores 8 --memory 32GiB\n  maaslxd plan --cores 4 --memory 8GiB --disk 40GB --zone az1 --pool lxd",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := w.check(); err != nil {
				s.begun = false
				return err
			}
			c, end, err := s.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer end()
			s.progress.Stepf("Planning")
			plan, err := w.ask(cmd.Context(), c)
			if err != nil {
				return err
			}
			if err := s.print(plan); err != nil {
				return err
			}
			if !plan.Fits {
				return ErrFound
			}
			return nil
		},
	}
	w.addFlags(cmd)
	return cmd
}

func (w *wish) addFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.Int32Var(&w.count, "count", 1, "how many VMs")
	f.Int32Var(&w.cores, "cores", 2, "cores of each")
	f.Var(w.memory, "memory", "memory of each, for example 32GiB")
	f.Var(w.disk, "disk", "disk of each, for example 60GB")
	f.StringVar(&w.storagePool, "storage-pool", "", "LXD storage pool; the host's default one where it is not given")
	f.StringSliceVar(&w.zones, "zone", nil, "zones that are allowed")
	f.StringSliceVar(&w.pools, "pool", nil, "resource pools that are allowed")
	f.StringSliceVar(&w.tags, "tag", nil, "tags that a host must have, all of them")
	f.StringSliceVar(&w.hosts, "host", nil, "the only hosts that are allowed, by name or id")
	f.StringSliceVar(&w.without, "without", nil, "hosts, by id, that are left out")
	f.StringVar(&w.policy, "policy", "balanced", "how hosts that fit are ranked: balanced, pack, spread")
	f.BoolVar(&w.antiAffinity, "anti-affinity", false, "never two of them on one host")
	f.StringVar(&w.project, "project", "", "LXD project")
	f.StringVar(&w.arch, "arch", "", "architecture, for example amd64")
	f.StringVar(&w.bridge, "bridge", "", "bridge that the host must have")
	f.StringVar(&w.subnet, "subnet", "", "subnet that the host must be on, by name, CIDR or id")
	f.BoolVar(&w.asMany, "as-many-as-fit", false, "plan fewer where not all of them fit")
	_ = cmd.RegisterFlagCompletionFunc("policy", cobra.FixedCompletions([]cobra.Completion{"balanced", "pack", "spread"}, cobra.ShellCompDirectiveNoFileComp)) // the flag stands above
}

// check says what of the command line is wrong.
func (w *wish) check() error {
	if _, ok := policies[w.policy]; !ok {
		return fmt.Errorf("--policy is balanced, pack or spread, not %q", w.policy)
	}
	return nil
}

// ask plans, and makes a plan of a refusal that tells of hosts.
func (w *wish) ask(ctx context.Context, c *service.Client) (*view.Plan, error) {
	ctx, cancel := c.Within(ctx)
	defer cancel()
	plan := &view.Plan{
		Wanted: w.count, Size: output.Size(w.cores, w.memory.value, w.disk.value),
		VMs: []view.Planned{}, Zones: []view.Share{}, Rejections: []view.Rejection{},
	}
	var err error
	if w.count == 1 {
		var answer *lxdprovisionerv1.SelectHostResponse
		if answer, err = c.VMs.SelectHost(ctx, w.one()); err == nil {
			plan.Selected(answer)
		}
	} else {
		var answer *lxdprovisionerv1.DistributeAcrossZonesResponse
		if answer, err = c.VMs.DistributeAcrossZones(ctx, w.many()); err == nil {
			plan.Distributed(answer)
		}
	}
	if info, ours := errorinfo.From(err); ours && info.Placement != nil {
		plan.Refused(info, advice.ForReason(info.Reason))
		return plan, nil
	}
	if err != nil {
		return nil, fmt.Errorf("plan: %w", err)
	}
	return plan, nil
}

func (w *wish) one() *lxdprovisionerv1.SelectHostRequest {
	return &lxdprovisionerv1.SelectHostRequest{
		VmName: planned, Resources: w.resources(), Placement: w.placement(), Network: w.network(), DryRun: true,
	}
}

func (w *wish) many() *lxdprovisionerv1.DistributeAcrossZonesRequest {
	request := &lxdprovisionerv1.DistributeAcrossZonesRequest{
		Count: w.count, Resources: w.resources(), Placement: w.placement(), Network: w.network(), AsManyAsFit: w.asMany,
	}
	if w.antiAffinity {
		request.Group = &lxdprovisionerv1.Group{Key: planned, AntiAffinity: lxdprovisionerv1.AntiAffinity_ANTI_AFFINITY_REQUIRED}
	}
	return request
}

func (w *wish) resources() *lxdprovisionerv1.VMResources {
	return &lxdprovisionerv1.VMResources{
		Cores: w.cores, MemoryMib: w.memory.value,
		Disks: []*lxdprovisionerv1.Disk{{SizeGb: min(w.disk.value, math.MaxInt32), StoragePool: given(w.storagePool)}},
	}
}

func (w *wish) placement() *lxdprovisionerv1.Placement {
	return &lxdprovisionerv1.Placement{
		Zones: trimmed(w.zones), ResourcePools: trimmed(w.pools), Tags: trimmed(w.tags), AllowedHosts: trimmed(w.hosts),
		ExcludedHosts: trimmed(w.without), Project: given(w.project), Architecture: given(w.arch), Policy: policies[w.policy],
	}
}

func (w *wish) network() *lxdprovisionerv1.VMNetwork {
	if w.bridge == "" && w.subnet == "" {
		return nil
	}
	return &lxdprovisionerv1.VMNetwork{Interfaces: []*lxdprovisionerv1.VMInterface{{Bridge: given(w.bridge), Subnet: given(w.subnet)}}}
}

// given is the pointer that the contract wants for a value that may be unset.
func given(value string) *string {
	if value == "" {
		return nil
	}
	return &value
}

func trimmed(values []string) []string {
	kept := make([]string, 0, len(values))
	for _, v := range values {
		kept = append(kept, strings.TrimSpace(v))
	}
	return slices.DeleteFunc(kept, func(v string) bool { return v == "" })
}
