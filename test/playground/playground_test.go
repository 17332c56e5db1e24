package playground_test

import (
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/api/meta"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/test/apiserver"
	"github.com/capmaas/capmaas/test/playground"
)

// untilReady bounds the making of a cluster on a busy machine; a quiet one takes half a minute.
const untilReady = 5 * time.Minute

// TestPlayground runs the delivered programs as the demo and make dev do.
func TestPlayground_makes_its_sample_cluster_though_service_and_manager_are_restarted_meanwhile(t *testing.T) {
	p, err := playground.Start(t.Context(), playground.Options{Bin: build(t), Work: filepath.Join(t.TempDir(), "work"), Sayf: t.Logf})
	t.Cleanup(func() { assert.NoError(t, p.Stop()) })
	require.NoError(t, err)
	objects, err := p.ApplySample(t.Context())
	require.NoError(t, err)
	want := 0
	for _, object := range objects {
		if object.GetKind() == "MaasMachine" {
			want++
		}
	}
	require.Positive(t, want)

	require.EventuallyWithT(t, func(c *assert.CollectT) {
		assert.NotEmpty(c, instances(t, p), "VMs are being made")
	}, untilReady, 100*time.Millisecond)
	require.NoError(t, p.Restart(t.Context(), "lxdprovisioner"))
	require.NoError(t, p.Restart(t.Context(), "manager"))
	require.Error(t, p.Restart(t.Context(), "nobody"))

	vms := 0
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		var machines infrav1.MaasMachineList
		require.NoError(c, p.Client.List(t.Context(), &machines, client.InNamespace(playground.Namespace)))
		ready := 0
		vms = 0
		for i := range machines.Items {
			m := &machines.Items[i]
			if m.Spec.Mode() == infrav1.ModeLXD {
				vms++
			}
			if meta.IsStatusConditionTrue(m.Status.Conditions, clusterv1.ReadyCondition) {
				ready++
			}
		}
		assert.Equal(c, want, ready)
	}, untilReady, 500*time.Millisecond)
	assert.Len(t, instances(t, p), vms, "one VM for each machine that wants one")
	assert.NoError(t, p.Alive())
}

// instances are the VMs that LXD has, whatever MAAS says.
func instances(t *testing.T, p *playground.Playground) []struct{ Host, Name string } {
	t.Helper()
	var all []struct{ Host, Name string }
	require.NoError(t, playground.Get(t.Context(), p.Simulator+"/_sim/lxd", &all))
	return all
}

// build builds the programs and gives their directory.
func build(t *testing.T) string {
	t.Helper()
	root, err := apiserver.Tree()
	require.NoError(t, err)
	bin := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", bin+string(filepath.Separator),
		"./services/maassim/cmd/maassim", "./services/lxdprovisioner/cmd/lxdprovisioner", "./controllers/cmd/manager")
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	return bin
}
