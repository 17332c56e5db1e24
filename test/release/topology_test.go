package release_test

import (
	"maps"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/controllers/clustercache"
	"sigs.k8s.io/cluster-api/exp/topology/desiredstate"
	"sigs.k8s.io/cluster-api/exp/topology/scope"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/test/scheme"
)

// TestClusterClass_makes lets Cluster API's topology engine compute what it would apply for a cluster of the class.
func TestClusterClass_makes_machines_as_the_variables_say(t *testing.T) {
	t.Parallel()
	require.NoError(t, installForeign())
	values := examples(t, "topology")
	maps.Copy(values, map[string]string{
		"DNS_DOMAIN": "k8s.example.com", "MACHINE_IMAGE": "custom/vm", "WORKER_MACHINE_IMAGE": "custom/metal", "LXD_RESOURCE_POOL": "hosts",
		"CONTROL_PLANE_MACHINE_MINCPU": "6", "CONTROL_PLANE_MACHINE_MINMEMORY": "12288", "CONTROL_PLANE_MACHINE_MINSTORAGE": "70",
		"WORKER_MACHINE_MINCPU": "16", "WORKER_MACHINE_MINMEMORY": "65536", "WORKER_MACHINE_RESOURCEPOOL": "racks",
		"VM_WORKER_MACHINE_MINCPU": "3", "VM_WORKER_MACHINE_MINMEMORY": "6144", "VM_WORKER_MACHINE_MINSTORAGE": "50",
	})
	s := topologyOf(t, decode(t, generateCluster(t, "topology", values)))
	api, err := client.New(server.Config, client.Options{Scheme: scheme.New()})
	require.NoError(t, err)
	generator, err := desiredstate.NewGenerator(api, clustercache.NewFakeEmptyClusterCache(), nil, nil, nil)
	require.NoError(t, err)
	desired, err := generator.Generate(t.Context(), s)
	require.NoError(t, err)

	var cluster infrav1.MaasCluster
	convert(t, desired.InfrastructureCluster, &cluster)
	assert.Equal(t, "k8s.example.com", cluster.Spec.DNSDomain)
	assertMachine(t, desired.ControlPlane.InfrastructureMachineTemplate, machine{infrav1.ModeLXD, 6, 12288, 70, "custom/vm", "hosts"})
	require.Len(t, desired.MachineDeployments, 2)
	assertMachine(t, desired.MachineDeployments["metal"].InfrastructureMachineTemplate,
		machine{infrav1.ModeBareMetal, 16, 65536, 0, "custom/metal", "racks"})
	assertMachine(t, desired.MachineDeployments["vm"].InfrastructureMachineTemplate,
		machine{infrav1.ModeLXD, 3, 6144, 50, "custom/vm", "hosts"})
}

// Whoever copies the class, as Cluster API's own specs do, copies what each reference names: twice the same would clash.
func TestClusterClass_names_each_template_once(t *testing.T) {
	t.Parallel()
	_, class := classOf(t, decode(t, generateCluster(t, "topology", examples(t, "topology"))))
	refs := []clusterv1.ClusterClassTemplateReference{
		class.Spec.Infrastructure.TemplateRef, class.Spec.ControlPlane.TemplateRef, class.Spec.ControlPlane.MachineInfrastructure.TemplateRef,
	}
	for _, md := range class.Spec.Workers.MachineDeployments {
		refs = append(refs, md.Bootstrap.TemplateRef, md.Infrastructure.TemplateRef)
	}
	seen := map[clusterv1.ClusterClassTemplateReference]bool{}
	for _, ref := range refs {
		assert.Falsef(t, seen[ref], "%s %s is referred to twice", ref.Kind, ref.Name)
		seen[ref] = true
	}
}

// machine is what a template of machines says of each; disk is that of a VM in GB.
type machine struct {
	mode                infrav1.ProvisioningMode
	cores, memory, disk int32
	image, pool         string
}

func assertMachine(t *testing.T, object *unstructured.Unstructured, want machine) {
	t.Helper()
	var template infrav1.MaasMachineTemplate
	convert(t, object, &template)
	spec := template.Spec.Template.Spec
	got := machine{mode: spec.ProvisioningMode, cores: *spec.MinCPU, memory: *spec.MinMemory, image: spec.Image, pool: *spec.ResourcePool}
	if spec.LXDConfig != nil {
		got.disk = spec.LXDConfig.Storage.Size.IntVal
	}
	assert.Equal(t, want, got)
}

// topologyOf gives what the topology engine works on: the cluster, its class and the templates that the class refers to.
func topologyOf(t *testing.T, objects []unstructured.Unstructured) *scope.Scope {
	t.Helper()
	cluster, class := classOf(t, objects)
	for _, v := range class.Spec.Variables { // as the controller of classes publishes them
		class.Status.Variables = append(class.Status.Variables, clusterv1.ClusterClassStatusVariable{
			Name: v.Name, Definitions: []clusterv1.ClusterClassStatusVariableDefinition{{
				From: clusterv1.VariableDefinitionFromInline, Required: v.Required, Schema: v.Schema,
			}},
		})
	}
	template := func(ref clusterv1.ClusterClassTemplateReference) *unstructured.Unstructured {
		return new(find(t, objects, ref.Kind, ref.Name))
	}
	s := scope.New(&cluster)
	s.Current.ControlPlane = &scope.ControlPlaneState{}
	s.Blueprint = &scope.ClusterBlueprint{
		Topology: cluster.Spec.Topology, ClusterClass: &class,
		InfrastructureClusterTemplate: template(class.Spec.Infrastructure.TemplateRef),
		ControlPlane: &scope.ControlPlaneBlueprint{
			Template:                      template(class.Spec.ControlPlane.TemplateRef),
			InfrastructureMachineTemplate: template(class.Spec.ControlPlane.MachineInfrastructure.TemplateRef),
		},
		MachineDeployments: map[string]*scope.MachineDeploymentBlueprint{},
	}
	for _, md := range class.Spec.Workers.MachineDeployments {
		s.Blueprint.MachineDeployments[md.Class] = &scope.MachineDeploymentBlueprint{
			BootstrapTemplate: template(md.Bootstrap.TemplateRef), InfrastructureMachineTemplate: template(md.Infrastructure.TemplateRef),
		}
	}
	return s
}

// classOf gives the cluster and its class.
func classOf(t *testing.T, objects []unstructured.Unstructured) (cluster clusterv1.Cluster, class clusterv1.ClusterClass) {
	t.Helper()
	convert(t, new(find(t, objects, "Cluster", clusterName)), &cluster)
	convert(t, new(find(t, objects, "ClusterClass", cluster.Spec.Topology.ClassRef.Name)), &class)
	return cluster, class
}

func convert(t *testing.T, from *unstructured.Unstructured, into any) {
	t.Helper()
	require.NotNil(t, from)
	require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(from.Object, into, true))
}
