package maascluster_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/controllers/internal/managertest"
	"github.com/capmaas/capmaas/proto/errorinfo"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
	"github.com/capmaas/capmaas/proto/provisionertest"
)

func TestFailureDomains_R3_1_of_a_MAAS_with_more_zones_than_fit_are_those_with_hosts_first(t *testing.T) {
	t.Parallel()
	var zones []string
	for i := range 120 {
		zones = append(zones, fmt.Sprintf("az%03d", i))
	}
	bed := managertest.New(t, provisionertest.Config{
		Zones: zones,
		Hosts: []provisionertest.Host{{Name: "lxd-01", Zone: "az000", Pool: "lxd"}, {Name: "lxd-02", Zone: "az119", Pool: "lxd"}},
	})
	bed.ProvisionCluster(t)
	condition := bed.WaitCondition(t, bed.OfCluster, infrav1.FailureDomainsCompleteCondition, infrav1.TooManyZonesReason)
	assert.Equal(t, metav1.ConditionFalse, condition.Status)
	assert.Contains(t, condition.Message, "MAAS has 120 zones")
	bed.WaitCondition(t, bed.OfCluster, clusterv1.ReadyCondition, clusterv1.ReadyReason)
	infra := bed.Cluster(t)
	require.Len(t, infra.Status.FailureDomains, 100)
	var names, forControlPlanes []string
	for _, d := range infra.Status.FailureDomains {
		names = append(names, d.Name)
		if ptr.Deref(d.ControlPlane, false) {
			forControlPlanes = append(forControlPlanes, d.Name)
		}
	}
	assert.True(t, slices.IsSorted(names))
	assert.Equal(t, []string{"az000", "az119"}, forControlPlanes)

	before := infra.DeepCopy()
	infra.Spec.FailureDomains = []string{"az119"}
	require.NoError(t, bed.Client.Patch(t.Context(), infra, client.MergeFrom(before)))
	bed.WaitCondition(t, bed.OfCluster, infrav1.FailureDomainsCompleteCondition, infrav1.FailureDomainsCompleteReason)
	managertest.Eventually(t, func(c *managertest.Check) {
		assert.Len(c, bed.Cluster(c).Status.FailureDomains, 1)
	}, "conditions are written apart from the rest of the status")
}

// named lets the spec name the zones.
func named(zones ...string) func(*clusterv1.Cluster, *infrav1.MaasCluster) {
	return func(_ *clusterv1.Cluster, infra *infrav1.MaasCluster) { infra.Spec.FailureDomains = zones }
}

// domains are the failure domains, and whether control planes go there.
func domains(infra *infrav1.MaasCluster) string {
	text := ""
	for _, d := range infra.Status.FailureDomains {
		text += fmt.Sprintf("%s=%t ", d.Name, ptr.Deref(d.ControlPlane, false))
	}
	return text
}

func TestFailureDomains_R3_1_are_MAASs_zones_unless_the_spec_names_some(t *testing.T) {
	t.Parallel()
	t.Run("MAAS's_zones_and_control_planes_where_hosts_are", func(t *testing.T) {
		t.Parallel()
		bed := managertest.New(t, provisionertest.Config{
			Zones: []string{"az1", "az2", "default"},
			Hosts: []provisionertest.Host{{Name: "lxd-01", Zone: "az1", Pool: "lxd"}, {Name: "lxd-02", Zone: "az2", Pool: "lxd"}},
		})
		bed.ProvisionCluster(t)
		assert.Equal(t, "az1=true az2=true default=false ", domains(bed.Cluster(t)))
		assert.Equal(t, "az1,az2,default", bed.Cluster(t).Status.Zones)
		bed.CreateMachine(t, "cp-0", managertest.Metal(), managertest.ControlPlane)
		managertest.Eventually(t, func(c *managertest.Check) {
			assert.Equal(c, "az1=true az2=true default=true ", domains(bed.Cluster(c)), "bare metal may be anywhere")
		}, "the zones follow the control plane's mode")
	})
	t.Run("the_spec's", func(t *testing.T) {
		t.Parallel()
		bed := managertest.New(t, provisionertest.Config{})
		bed.ProvisionCluster(t, named("az3", "az1"))
		assert.Equal(t, "az3=true az1=true ", domains(bed.Cluster(t)))
	})
	t.Run("the_spec's_each_once", func(t *testing.T) {
		t.Parallel()
		bed := managertest.New(t, provisionertest.Config{})
		bed.ProvisionCluster(t, named("default", "default"))
		assert.Equal(t, "default=true ", domains(bed.Cluster(t)), "the status holds no zone twice")
	})
	t.Run("the_spec's_while_MAAS_is_silent", func(t *testing.T) {
		t.Parallel()
		bed := managertest.NewWithoutManager(t, provisionertest.Config{})
		bed.Fake.FailEvery("ListZones", provisionertest.Fault(errorinfo.Unavailable, lxdprovisionerv1.Reason_REASON_MAAS_UNAVAILABLE, "MAAS is silent"))
		bed.StartManager(t)
		bed.ProvisionCluster(t, named("az3", "az1"))
		assert.Equal(t, "az3=true az1=true ", domains(bed.Cluster(t)))
	})
}

// awaitLooks waits until MAAS's zones have been looked at so many times more.
func awaitLooks(t *testing.T, bed *managertest.Bed, times int, what string) {
	t.Helper()
	looks := func() int { return len(provisionertest.Requests[*lxdprovisionerv1.ListZonesRequest](bed.Fake)) }
	before := looks()
	managertest.Eventually(t, func(c *managertest.Check) { assert.GreaterOrEqual(c, looks(), before+times) }, what)
}

func TestFailureDomains_R3_3_a_lost_zone_stays_lost_while_MAAS_is_silent(t *testing.T) {
	t.Parallel()
	bed := managertest.New(t, provisionertest.Config{
		Zones: []string{"az1", "az2"},
		Hosts: []provisionertest.Host{
			{Name: "lxd-01", Zone: "az1", Pool: "lxd", Unusable: lxdprovisionerv1.RejectionReason_REJECTION_REASON_HOST_POWERED_OFF}, {Name: "lxd-02", Zone: "az2", Pool: "lxd"},
		},
	})
	bed.ProvisionCluster(t, named("az1", "az2"))
	require.Equal(t, "az1=false az2=true ", domains(bed.Cluster(t)))
	bed.Fake.FailEvery("ListZones", provisionertest.Fault(errorinfo.Unavailable, lxdprovisionerv1.Reason_REASON_MAAS_UNAVAILABLE, "MAAS is silent"))
	awaitLooks(t, bed, 1, "what was heard of MAAS before it fell silent is not believed any more")
	for _, row := range []struct {
		zones []string
		want  string
	}{
		{[]string{"az2", "az1", "az3", "az2"}, "az2=true az1=false az3=true "},
		// Without any, Cluster API would name none, and the machine could be anywhere.
		{[]string{"az1"}, "az1=true "},
	} {
		infra := bed.Cluster(t)
		before := infra.DeepCopy()
		infra.Spec.FailureDomains = row.zones
		require.NoError(t, bed.Client.Patch(t.Context(), infra, client.MergeFrom(before)))
		managertest.Eventually(t, func(c *managertest.Check) { assert.Equal(c, row.want, domains(bed.Cluster(c))) }, row.want)
	}
}

func TestFailureDomains_R3_3_send_no_control_plane_to_a_zone_whose_hosts_are_all_lost(t *testing.T) {
	t.Parallel()
	const lost = lxdprovisionerv1.RejectionReason_REJECTION_REASON_HOST_POWERED_OFF
	for name, row := range map[string]struct {
		specified         []string
		well, one, others string
	}{
		"of_MAAS's": {nil, "az1=true az2=true default=false ", "az1=false az2=true default=false ", "az1=true az2=true default=false "},
		"of_the_spec's": {
			[]string{"default", "az1", "az2"}, "default=false az1=true az2=true ", "default=false az1=false az2=true ", "default=false az1=true az2=true ",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bed := managertest.New(t, provisionertest.Config{
				Zones: []string{"az1", "az2", "default"},
				Hosts: []provisionertest.Host{{Name: "lxd-01", Zone: "az1", Pool: "lxd"}, {Name: "lxd-02", Zone: "az1", Pool: "lxd"}, {Name: "lxd-03", Zone: "az2", Pool: "lxd"}},
			})
			bed.ProvisionCluster(t, named(row.specified...), func(_ *clusterv1.Cluster, infra *infrav1.MaasCluster) { infra.Spec.OnHostLost = infrav1.Wait })
			bed.CreateMachine(t, "cp-0", managertest.LXD(), managertest.ControlPlane)
			bed.WaitProvisioned(t, "cp-0")
			eventually := func(want, what string) {
				managertest.Eventually(t, func(c *managertest.Check) { assert.Equal(c, want, domains(bed.Cluster(c))) }, what)
			}
			eventually(row.well, "all zones are well")

			host := ptr.Deref(bed.Machine(t, "cp-0").Status.LXDHost, "")
			require.True(t, bed.Fake.SetHostOnline(host, false))
			require.True(t, bed.Fake.SetHostUnusable("lxd-01", lost))
			bed.DeleteMachine(t, "cp-0")
			awaitLooks(t, bed, 2, "while a machine of the control plane leaves, the zones are looked at")
			assert.Equal(t, row.well, domains(bed.Cluster(t)), "a zone with one usable host is no lost zone")
			require.True(t, bed.Fake.SetHostUnusable("lxd-02", lost))
			eventually(row.one, "before the Machine goes and gets a successor, its zone is known to be lost")

			require.True(t, bed.Fake.SetHostUnusable("lxd-03", lost))
			eventually(row.others, "where every zone with hosts is lost none of them is better than another")

			for _, name := range []string{"lxd-01", "lxd-02", "lxd-03"} {
				require.True(t, bed.Fake.SetHostUnusable(name, lxdprovisionerv1.RejectionReason_REJECTION_REASON_UNSPECIFIED))
			}
			require.True(t, bed.Fake.SetHostOnline(host, true))
			bed.WaitGone(t, "cp-0")
			eventually(row.well, "a zone that is back counts again")
		})
	}
}
