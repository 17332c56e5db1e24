package v1beta1

import (
	"slices"
	"strings"
)

// customImageSystem is what MAAS calls the operating system of uploaded images.
const customImageSystem = "custom"

// HostPools returns the MAAS resource pools of which the VM's host may be taken, or none for all: resourcePool alone where it
// is set, else lxdConfig.hostSelection.resourcePools.
func (s *MaasMachineSpec) HostPools() []string {
	if s.ResourcePool != nil && *s.ResourcePool != "" {
		return []string{*s.ResourcePool}
	}
	if selection := s.lxdConfig().HostSelection; selection != nil {
		return slices.Clone(selection.ResourcePools)
	}
	return nil
}

// HostTags returns the MAAS tags that the VM's host must have: those of tags and of lxdConfig.hostSelection.tags, each once.
func (s *MaasMachineSpec) HostTags() []string {
	tags := slices.Clone(s.Tags)
	if selection := s.lxdConfig().HostSelection; selection != nil {
		tags = append(tags, selection.Tags...)
	}
	slices.Sort(tags)
	return slices.Compact(tags)
}

// ImageParts splits the image into MAAS's operating system and series at the first slash. A bare name is a custom image.
func (s *MaasMachineSpec) ImageParts() (system, series string) {
	system, series, found := strings.Cut(s.Image, "/")
	if !found {
		return customImageSystem, s.Image
	}
	return system, series
}
