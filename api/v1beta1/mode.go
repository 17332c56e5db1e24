package v1beta1

// Mode returns what the machine becomes: ModeLXD if provisioningMode or lxd.enabled asks for it, else ModeBareMetal. A
// contradiction of the two is refused at admission; where one got past it, no bare metal is taken for somebody who asked for
// a VM.
func (s *MaasMachineSpec) Mode() ProvisioningMode {
	if s.ProvisioningMode == ModeLXD || s.lxdEnabled() {
		return ModeLXD
	}
	return ModeBareMetal
}

// ModeContradicts says whether lxd.enabled asks for a VM while provisioningMode asks for bare metal. The reverse is no
// contradiction: the API server writes lxd.enabled: false wherever the field is left out.
func (s *MaasMachineSpec) ModeContradicts() bool {
	return s.lxdEnabled() && (s.ProvisioningMode == ModeBareMetal || s.ProvisioningMode == ModeBareMetalAlias)
}

func (s *MaasMachineSpec) lxdEnabled() bool {
	return s.LXD != nil && s.LXD.Enabled != nil && *s.LXD.Enabled
}
