package suite_test

import (
	. "github.com/onsi/ginkgo/v2"
	"sigs.k8s.io/cluster-api/test/e2e"
)

var _ = Describe("MachineDeploymentScaleSpec on physical machines and VMs", func() {
	e2e.MachineDeploymentScaleSpec(ctx, func() e2e.MachineDeploymentScaleSpecInput {
		return e2e.MachineDeploymentScaleSpecInput{
			E2EConfig: config, ClusterctlConfigPath: clusterctlConfig, BootstrapClusterProxy: clusters, ArtifactFolder: artifacts,
			InfrastructureProvider: provider, Flavor: "mixed",
		}
	})
})

var _ = Describe("KCPAndMachineDeploymentRolloutSpec on physical machines and VMs", func() {
	e2e.KCPAndMachineDeploymentRolloutSpec(ctx, func() e2e.KCPAndMachineDeploymentRolloutSpecInput {
		return e2e.KCPAndMachineDeploymentRolloutSpecInput{
			E2EConfig: config, ClusterctlConfigPath: clusterctlConfig, BootstrapClusterProxy: clusters, ArtifactFolder: artifacts,
			InfrastructureProvider: provider, Flavor: "taints",
		}
	})
})

var _ = Describe("MachineDeploymentRemediationSpec on physical machines and VMs", func() {
	e2e.MachineDeploymentRemediationSpec(ctx, func() e2e.MachineDeploymentRemediationSpecInput {
		return e2e.MachineDeploymentRemediationSpecInput{
			E2EConfig: config, ClusterctlConfigPath: clusterctlConfig, BootstrapClusterProxy: clusters, ArtifactFolder: artifacts,
			InfrastructureProvider: provider,
		}
	})
})
