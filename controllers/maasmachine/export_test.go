package maasmachine

// What the tests of pure functions reach.
var (
	AttemptName   = attemptName
	ResourcesOf   = resourcesOf
	PlacementOf   = placementOf
	NetworkOf     = networkOf
	ConstraintsOf = constraintsOf
	ImageOf       = imageOf
	GroupOf       = groupOf
	SubnetOf      = subnetOf
	Unsupported   = unsupported
	AntiAffinity  = antiAffinityOf
	ZoneOf        = zoneOf
)
