package webhooks

import (
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
)

// part is one field of a MaasMachineSpec, read so that two ways to say the same are equal.
type part struct {
	path []string
	of   func(*infrav1.MaasMachineSpec) any
}

var (
	// fixedParts never change, as in the existing provider.
	fixedParts = []part{
		{[]string{"image"}, func(s *infrav1.MaasMachineSpec) any { return s.Image }},
		{[]string{"minCPU"}, func(s *infrav1.MaasMachineSpec) any { return s.MinCPU }},
		{[]string{"minMemory"}, func(s *infrav1.MaasMachineSpec) any { return s.MinMemory }},
	}
	// modePart is what the machine becomes, however that is said.
	modePart = []part{{[]string{"provisioningMode"}, func(s *infrav1.MaasMachineSpec) any { return s.Mode() }}}
	// lxdConfigPart is the block that the existing provider does not have.
	lxdConfigPart = []part{{[]string{"lxdConfig"}, func(s *infrav1.MaasMachineSpec) any { return s.LXDConfig }}}
	// looseParts may change in a template, as in the existing provider, but say nothing to a machine that is made. The zone and
	// the ids are not among them: the controller writes them.
	looseParts = []part{
		{[]string{"resourcePool"}, func(s *infrav1.MaasMachineSpec) any { return ptr.Deref(s.ResourcePool, "") }},
		{[]string{"minDiskSize"}, func(s *infrav1.MaasMachineSpec) any { return ptr.Deref(s.MinDiskSize, 0) }},
		{[]string{"tags"}, func(s *infrav1.MaasMachineSpec) any { return s.Tags }},
		{[]string{"deployInMemory"}, func(s *infrav1.MaasMachineSpec) any { return s.DeployInMemory }},
		{[]string{"keepSwap"}, func(s *infrav1.MaasMachineSpec) any { return s.KeepSwap }},
		{[]string{"lxd", "vmConfig"}, func(s *infrav1.MaasMachineSpec) any { return vmConfigOf(s) }},
		{[]string{"staticIP"}, func(s *infrav1.MaasMachineSpec) any { return s.StaticIP }},
	}
)

func vmConfigOf(s *infrav1.MaasMachineSpec) infrav1.VMConfig {
	if s.LXD == nil {
		return infrav1.VMConfig{}
	}
	return ptr.Deref(s.LXD.VMConfig, infrav1.VMConfig{})
}

// changed lists the paths of the parts that differ.
func changed(before, after *infrav1.MaasMachineSpec, at *field.Path, lists ...[]part) []*field.Path {
	var paths []*field.Path
	for _, list := range lists {
		for _, p := range list {
			if !equality.Semantic.DeepEqual(p.of(before), p.of(after)) {
				paths = append(paths, at.Child(p.path[0], p.path[1:]...))
			}
		}
	}
	return paths
}
