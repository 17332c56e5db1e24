package main

import (
	"strings"

	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
	"github.com/capmaas/capmaas/test/playground"
)

// namespace is where the samples are applied.
const namespace = playground.Namespace

// stack is everything that runs, and a client of the service.
type stack struct {
	*playground.Playground

	keep  bool
	hosts lxdprovisionerv1.LXDProvisionerClient
}

// explain says how to reach what is left running.
func (st *stack) explain(s *screen) {
	grpcurl := "  grpcurl " + strings.Join(st.GRPCurl(), " ")
	s.raw(strings.Join([]string{
		"", "Everything keeps running until Ctrl-C. In another shell:",
		"  export KUBECONFIG=" + st.Kubeconfig,
		"  kubectl get maasmachines -o wide",
		grpcurl + " " + st.Service + " list",
		grpcurl + " -d '{\"vm_name\":\"probe\",\"dry_run\":true,\"resources\":{\"cores\":64,\"memory_mib\":4096,\"disks\":[{\"size_gb\":20}]}}' " + st.Service + " lxdprovisioner.v1.LXDProvisioner/SelectHost",
		"  curl -s " + st.Simulator + "/_sim/lxd", "Logs are in " + st.Work + ".",
	}, "\n"))
}
