package scenario

import "github.com/capmaas/capmaas/test/e2e/internal/world"

// Explain says how to reach what is left running.
func (r *Run) Explain() {
	enter := "nsenter --target " + world.PID() + " --net --mount"
	r.Timeline.Sayf("everything keeps running until Ctrl-C. In another shell:\n"+
		"  %[1]s %[2]s/kubectl --kubeconfig %[3]s get clusters,machines,maasmachines\n"+
		"  %[1]s %[2]s/kubectl --kubeconfig %[3]s get secret %[4]s-kubeconfig -o jsonpath={.data.value} | base64 -d >workload.kubeconfig\n"+
		"  %[1]s %[2]s/kubectl --kubeconfig workload.kubeconfig get nodes,pods -A", enter, r.Assets, r.management.Kubeconfig, clusterName)
}
