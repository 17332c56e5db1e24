package tilt_test

import (
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	managerapp "github.com/capmaas/capmaas/controllers/app"
	serviceapp "github.com/capmaas/capmaas/services/lxdprovisioner/app"
)

func TestTiltfile_builds_programs_that_there_are_from_sources_that_there_are(t *testing.T) {
	t.Parallel()
	a := run(t, nil)
	built := map[string]bool{}
	for _, r := range a.calls["local_resource"] {
		for _, dep := range texts(r["deps"]) {
			assert.True(t, a.exists(dep), "%s depends on %s", r["name"], dep)
		}
		command, _ := r["cmd"].(string)
		if match := goBuild.FindStringSubmatch(command); match != nil {
			built[match[1]] = true
			assert.Equal(t, "main", a.goPackage(".", match[2]), match[2])
		} else if target, isMake := strings.CutPrefix(command, "make "); isMake {
			a.makes(strings.Fields(target))
		}
	}
	images := a.calls["docker_build_with_restart"]
	assert.Len(t, images, len(built))
	for _, image := range images {
		only := texts(image["only"])
		require.Len(t, only, 1)
		binary := filepath.Join(image["context"].(string), only[0])
		assert.True(t, built[binary], "image %s wants %s", image["ref"], binary)
		assert.Contains(t, image["dockerfile_contents"], "COPY "+only[0]+" /"+only[0])
		assert.Equal(t, []any{map[string]any{"local_path": binary, "remote_path": "/" + only[0]}}, image["live_update"])
		assert.Equal(t, []string{"/" + only[0]}, texts(image["entrypoint"]), "what is replaced is what runs")
	}
}

func TestTiltfile_names_every_object_of_the_kustomization_once(t *testing.T) {
	t.Parallel()
	a := run(t, nil)
	want := map[string]bool{}
	deployments := map[string]appsv1.Deployment{}
	for _, object := range a.objects() {
		if object.GetKind() == "Deployment" {
			deployments[object.GetName()] = typed[appsv1.Deployment](t, object)
			continue
		}
		name := object.GetName() + ":" + object.GetKind()
		if object.GetNamespace() != "" {
			name += ":" + object.GetNamespace()
		}
		want[name] = true
	}
	resources := map[string]bool{}
	for _, r := range slices.Concat(a.calls["local_resource"], a.calls["k8s_resource"]) {
		name, _ := r["name"].(string)
		if given, ok := r["new_name"].(string); ok {
			name = given
		}
		assert.False(t, resources[name], "two resources are called %s", name)
		resources[name] = true
	}
	for _, r := range a.calls["k8s_resource"] {
		for _, name := range texts(r["objects"]) {
			assert.True(t, want[name], "%s is no object, or named twice", name)
			delete(want, name)
		}
		for _, name := range texts(r["resource_deps"]) {
			assert.True(t, resources[name], "%s waits for %s, which there is not", r["new_name"], name)
		}
		workload, ok := r["workload"].(string)
		if !ok {
			continue
		}
		deployment, known := deployments[workload]
		require.True(t, known, "there is no Deployment %s", workload)
		delete(deployments, workload)
		a.forwards(r, &deployment)
	}
	assert.Empty(t, want, "objects that no resource names are applied before cert-manager is there")
	assert.Empty(t, deployments)
	for _, b := range a.calls["cmd_button"] {
		assert.True(t, resources[b["resource"].(string)], "button %s stands at %s", b["name"], b["resource"])
	}
}

// forwards holds the forwarded ports against the container's.
func (a *asked) forwards(resource call, d *appsv1.Deployment) {
	a.t.Helper()
	forwards, _ := resource["port_forwards"].([]any)
	assert.NotEmpty(a.t, forwards, d.Name)
	for _, f := range forwards {
		port := int32(f.(map[string]any)["container_port"].(int64))
		assert.True(a.t, slices.ContainsFunc(d.Spec.Template.Spec.Containers[0].Ports, func(p corev1.ContainerPort) bool {
			return p.ContainerPort == port
		}), "%s has no port %d", d.Name, port)
	}
}

func TestTiltfile_replaces_programs_in_containers_that_let_it(t *testing.T) {
	t.Parallel()
	a := run(t, nil)
	images := map[string]bool{}
	for _, image := range a.calls["docker_build_with_restart"] {
		images[image["ref"].(string)] = true
	}
	for _, object := range a.objects() {
		if object.GetKind() != "Deployment" {
			continue
		}
		d := typed[appsv1.Deployment](t, object)
		pod := d.Spec.Template.Spec
		name, _, _ := strings.Cut(pod.Containers[0].Image, ":")
		assert.True(t, images[name], "nothing builds the image of %s", d.Name)
		delete(images, name)
		assert.Nil(t, pod.SecurityContext, d.Name)
		assert.Nil(t, pod.Containers[0].SecurityContext, "%s: what may not be written to can't be replaced", d.Name)
		assert.EqualValues(t, 1, *d.Spec.Replicas, d.Name)
	}
	assert.Empty(t, images, "images that nothing runs")
}

func TestTiltfile_passes_the_settings_on(t *testing.T) {
	t.Parallel()
	a := run(t, map[string]any{
		"allowed_contexts": []any{"kind-capmaas"}, "default_registry": "registry.example/dev", "trigger_mode": "manual", "deploy_cluster_api": false,
		"extra_args":              map[string]any{"manager": []any{"--machine-concurrency=3"}, "lxdprovisioner": []any{"--maas-list-calls=1"}},
		"kustomize_substitutions": map[string]any{"MAAS_ENDPOINT": "https://maas.example/MAAS", "MAAS_API_KEY": "a:b:c", "WORKER_MACHINE_COUNT": "7"},
	})
	assert.Equal(t, []call{{"contexts": []any{"kind-capmaas"}}}, a.calls["allow_k8s_contexts"])
	assert.Equal(t, []call{{"host": "registry.example/dev"}}, a.calls["default_registry"])
	assert.Equal(t, []call{{"mode": "manual"}}, a.calls["trigger_mode"])
	assert.False(t, slices.ContainsFunc(a.calls["local_resource"], func(r call) bool { return r["name"] == "cluster-api" }))
	for _, object := range a.objects() {
		switch object.GetKind() {
		case "Secret":
			s := typed[corev1.Secret](t, object)
			assert.Equal(t, map[string]string{"MAAS_ENDPOINT": "https://maas.example/MAAS", "MAAS_API_KEY": "a:b:c"}, s.StringData)
		case "Deployment":
			d := typed[appsv1.Deployment](t, object)
			parse(t, &d)
		}
	}
	for _, b := range a.calls["cmd_button"] {
		if strings.HasPrefix(b["name"].(string), "template-") && strings.HasSuffix(b["name"].(string), ":apply") {
			assert.Contains(t, b["env"], "WORKER_MACHINE_COUNT=7", b["name"])
		}
	}
}

// parse holds the arguments of a Deployment against the flags of its program, and sees those of the settings.
func parse(t *testing.T, d *appsv1.Deployment) {
	t.Helper()
	flags := flag.NewFlagSet(d.Name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	options, service := managerapp.DefaultOptions(), serviceapp.Config{}
	switch d.Name {
	case "capmaas-controller-manager":
		options.AddFlags(flags)
		flags.Int("v", 0, "klog's")
		require.NoError(t, flags.Parse(d.Spec.Template.Spec.Containers[0].Args))
		assert.Equal(t, 3, options.MachineConcurrency)
		assert.False(t, options.LeaderElect, "a manager that was replaced would wait for its own lease")
	case "capmaas-lxdprovisioner":
		service.AddFlags(flags)
		require.NoError(t, flags.Parse(d.Spec.Template.Spec.Containers[0].Args))
		assert.Equal(t, 1, service.ListCalls)
	default:
		return
	}
	assert.Empty(t, flags.Args())
}

func TestTiltfile_uses_the_simulated_MAAS_that_it_starts_unless_it_is_told_another(t *testing.T) {
	t.Parallel()
	a := run(t, nil)
	var secret corev1.Secret
	var simulator appsv1.Deployment
	services := map[string]corev1.Service{}
	for _, object := range a.objects() {
		switch {
		case object.GetKind() == "Secret":
			secret = typed[corev1.Secret](t, object)
		case object.GetKind() == "Service":
			services[object.GetName()+"."+object.GetNamespace()+".svc"] = typed[corev1.Service](t, object)
		case object.GetName() == "capmaas-maassim":
			simulator = typed[appsv1.Deployment](t, object)
		}
	}
	assert.Contains(t, simulator.Spec.Template.Spec.Containers[0].Args, "--api-key="+secret.StringData["MAAS_API_KEY"])
	host, port, found := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(secret.StringData["MAAS_ENDPOINT"], "http://"), "/MAAS"), ":")
	require.True(t, found, secret.StringData["MAAS_ENDPOINT"])
	service, known := services[host]
	require.True(t, known, "no Service is called %s", host)
	assert.Equal(t, simulator.Spec.Template.Labels, service.Spec.Selector)
	assert.Equal(t, "5240", port)
	assert.EqualValues(t, 5240, service.Spec.Ports[0].Port)
}

func TestTiltfile_has_buttons_for_every_template_with_all_its_variables(t *testing.T) {
	t.Parallel()
	a := run(t, nil)
	buttons := map[string]call{}
	for _, b := range a.calls["cmd_button"] {
		buttons[b["name"].(string)] = b
		for word := range strings.FieldsSeq(strings.Join(texts(b["argv"]), " ")) {
			if strings.HasPrefix(word, "deploy/") {
				assert.True(t, a.exists(word), word)
			}
		}
	}
	files, err := filepath.Glob(filepath.Join(a.root, "deploy", "templates", "*.yaml"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		base := strings.TrimSuffix(filepath.Base(file), ".yaml")
		name := "template-" + strings.TrimPrefix(base, "cluster-template-") + ":apply"
		switch {
		case base == "cluster-template":
			name = "template-default:apply"
		case strings.HasPrefix(base, "clusterclass-"):
			name = "class-" + strings.TrimPrefix(base, "clusterclass-") + ":apply"
		}
		button, known := buttons[name]
		require.True(t, known, "no button %s for %s", name, file)
		assert.Contains(t, strings.Join(texts(button["argv"]), " "), "deploy/templates/"+filepath.Base(file))
		env := strings.Join(texts(button["env"]), "\n") + "\nCLUSTER_NAME="
		for _, variable := range mandatory.FindAllStringSubmatch(string(text), -1) {
			assert.Contains(t, "\n"+env, "\n"+variable[1]+"=", "%s wants ${%s}", filepath.Base(file), variable[1])
		}
	}
}

var (
	// goBuild finds the binary and the package of a build.
	goBuild = regexp.MustCompile(`go build -o (\S+) (\S+)$`)
	// mandatory finds the variables of a template that have no value of their own.
	mandatory = regexp.MustCompile(`\$\{([A-Z_0-9]+)\}`)
)

func (a *asked) exists(path string) bool {
	_, err := os.Stat(filepath.Join(a.root, path))
	return err == nil
}

// goPackage gives the name of a package.
func (a *asked) goPackage(dir, pkg string) string {
	a.t.Helper()
	cmd := exec.CommandContext(a.t.Context(), "go", "list", "-f", "{{.Name}}", pkg)
	cmd.Dir = filepath.Join(a.root, dir)
	out, err := cmd.Output()
	require.NoError(a.t, err, "go list %s in %s", pkg, dir)
	return strings.TrimSpace(string(out))
}

// makes demands that these are targets of the Makefile.
func (a *asked) makes(targets []string) {
	a.t.Helper()
	text, err := os.ReadFile(filepath.Join(a.root, "Makefile"))
	require.NoError(a.t, err)
	for _, target := range targets {
		assert.Regexp(a.t, `(?m)^`+regexp.QuoteMeta(target)+`:`, string(text))
	}
}

// objects are those that the Tiltfile applies.
func (a *asked) objects() []unstructured.Unstructured {
	a.t.Helper()
	var all []unstructured.Unstructured
	for _, applied := range a.calls["k8s_yaml"] {
		decoded, err := decodeStream(applied["yaml"])
		require.NoError(a.t, err)
		for _, object := range decoded.([]any) {
			all = append(all, unstructured.Unstructured{Object: object.(map[string]any)})
		}
	}
	require.NotEmpty(a.t, all)
	return all
}

func typed[T any](t *testing.T, object unstructured.Unstructured) T {
	t.Helper()
	var out T
	require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(object.Object, &out, true), object.GetName())
	return out
}

func texts(value any) []string {
	list, _ := value.([]any)
	all := make([]string, 0, len(list))
	for _, element := range list {
		text, _ := element.(string)
		all = append(all, text)
	}
	return all
}
