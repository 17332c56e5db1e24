package maasmachinetemplate_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/controllers/internal/managertest"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
	"github.com/capmaas/capmaas/proto/provisionertest"
)

func TestMain(m *testing.M) { managertest.Main(m) }

func TestTemplate_says_what_a_node_offers(t *testing.T) {
	t.Parallel()
	bed := managertest.New(t, provisionertest.Config{})
	unsized := managertest.LXD()
	unsized.MinCPU, unsized.MinMemory = new(int32(0)), new(int32(0))
	anyMetal := managertest.Metal()
	anyMetal.MinCPU, anyMetal.MinMemory = new(int32(0)), new(int32(0))
	for name, row := range map[string]struct {
		spec        infrav1.MaasMachineSpec
		cpu, memory string
	}{
		"vm":          {managertest.LXD(), "2", "4Gi"},
		"unsized-vm":  {unsized, "2", "4Gi"},
		"metal":       {managertest.Metal(), "2", "4Gi"},
		"any-machine": {anyMetal, "0", "0"},
	} {
		template := &infrav1.MaasMachineTemplate{ObjectMeta: metav1.ObjectMeta{Namespace: bed.Namespace, Name: name}}
		template.Spec.Template.Spec = row.spec
		require.NoError(t, bed.Client.Create(t.Context(), template))
		managertest.Eventually(t, func(c *managertest.Check) {
			read := &infrav1.MaasMachineTemplate{}
			require.NoError(c, bed.Client.Get(t.Context(), bed.Key(name), read))
			assert.Equal(c, row.cpu, read.Status.Capacity.Cpu().String())
			assert.Equal(c, row.memory, read.Status.Capacity.Memory().String())
			_, named := read.Status.Capacity[corev1.ResourceMemory]
			assert.Equal(c, row.memory != "0", named, "what is not known is not named")
		}, name+" has its capacity")
	}
}

func TestTemplate_says_what_a_node_runs_on(t *testing.T) {
	t.Parallel()
	bed := managertest.New(t, provisionertest.Config{Images: []*lxdprovisionerv1.AvailableImage{
		{Name: "ubuntu/jammy", Architecture: "amd64"},
		{Name: "ubuntu/jammy", Architecture: "arm64"},
		{Name: "ubuntu/noble", Architecture: "ppc64el"},
		{Name: "custom/flat", Architecture: "arm64"},
		{Name: "windows/win2022", Architecture: "amd64"},
		{Name: "ubuntu/risky", Architecture: "riscv64"},
	}})
	for image, want := range map[string]infrav1.NodeInfo{
		"ubuntu/jammy":    {OperatingSystem: "linux"},
		"ubuntu/noble":    {OperatingSystem: "linux", Architecture: infrav1.ArchitecturePPC64LE},
		"flat":            {OperatingSystem: "linux", Architecture: infrav1.ArchitectureARM64},
		"windows/win2022": {OperatingSystem: "windows", Architecture: infrav1.ArchitectureAMD64},
		"ubuntu/risky":    {OperatingSystem: "linux"},
		"ubuntu/missing":  {OperatingSystem: "linux"},
	} {
		name := strings.ReplaceAll(image, "/", "-")
		template := &infrav1.MaasMachineTemplate{ObjectMeta: metav1.ObjectMeta{Namespace: bed.Namespace, Name: name}}
		template.Spec.Template.Spec = managertest.LXD()
		template.Spec.Template.Spec.Image = image
		require.NoError(t, bed.Client.Create(t.Context(), template))
		managertest.Eventually(t, func(c *managertest.Check) {
			read := &infrav1.MaasMachineTemplate{}
			require.NoError(c, bed.Client.Get(t.Context(), bed.Key(name), read))
			require.NotNil(c, read.Status.NodeInfo)
			assert.Equal(c, want, *read.Status.NodeInfo)
		}, image)
	}
}
