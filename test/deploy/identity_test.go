package deploy_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/kustomize/api/resmap"

	maaslxd "github.com/capmaas/capmaas/cmd/maaslxd/app"
)

// certificate is what is read of a cert-manager Certificate; test/release holds all of it against cert-manager's schema.
type certificate struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		CommonName  string    `json:"commonName"`
		DNSNames    []string  `json:"dnsNames"`
		SecretName  string    `json:"secretName"`
		IssuerRef   issuerRef `json:"issuerRef"`
		IsCA        bool      `json:"isCA"`
		Duration    string    `json:"duration"`
		RenewBefore string    `json:"renewBefore"`
		Usages      []string  `json:"usages"`
		PrivateKey  struct {
			Algorithm      string `json:"algorithm"`
			Size           int    `json:"size"`
			RotationPolicy string `json:"rotationPolicy"`
		} `json:"privateKey"`
	} `json:"spec"`
}

type issuerRef struct {
	Group string `json:"group"`
	Kind  string `json:"kind"`
	Name  string `json:"name"`
}

type issuer struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		SelfSigned *struct{} `json:"selfSigned"`
		CA         *struct {
			SecretName string `json:"secretName"`
		} `json:"ca"`
	} `json:"spec"`
}

func TestIdentity_each_side_shows_the_certificate_that_the_other_asks_for(t *testing.T) {
	t.Parallel()
	all := build(t, "default")
	options, told := parse(t, "default")
	deployments := decode[appsv1.Deployment](t, all, "Deployment")

	service := certificateOf(t, all, secretAt(t, serviceOf(t, deployments), told.TLSDir))
	assert.Contains(t, service.Spec.DNSNames, options.ProvisionerServerName)
	assert.Contains(t, service.Spec.Usages, "server auth")
	assert.NotContains(t, service.Spec.Usages, "client auth", "a replica is nobody's caller")

	manager := certificateOf(t, all, secretAt(t, managerOf(t, deployments), options.ProvisionerTLSDir))
	assert.Equal(t, []string{manager.Spec.CommonName}, told.ManagerIdentities)
	assert.Contains(t, manager.Spec.DNSNames, manager.Spec.CommonName)
	assert.Equal(t, []string{"digital signature", "client auth"}, manager.Spec.Usages)

	operator := certificateOf(t, all, "capmaas-operator-tls")
	var help bytes.Buffer
	require.Zero(t, maaslxd.Run(t.Context(), maaslxd.Invocation{
		Program: "maaslxd", Args: []string{"hosts", "--help"}, Out: &help, Err: &help, Getenv: func(string) string { return "" }, Clock: time.Now,
	}))
	assert.Contains(t, help.String(), "the Secret "+operator.Spec.SecretName+" is read", "the operator's command finds it")
	assert.Equal(t, []string{operator.Spec.CommonName}, told.OperatorIdentities)
	assert.Equal(t, []string{"digital signature", "client auth"}, operator.Spec.Usages)
	assert.False(t, told.OperatorsMayWrite)
	for _, d := range deployments {
		for _, v := range d.Spec.Template.Spec.Volumes {
			assert.False(t, v.Secret != nil && v.Secret.SecretName == operator.Spec.SecretName, "%s needs no operator's certificate", d.Name)
		}
	}
	identities := append(slices.Clone(manager.Spec.DNSNames), operator.Spec.DNSNames...)
	for _, name := range service.Spec.DNSNames {
		assert.NotContains(t, identities, name, "the service must not pass for a caller")
	}
}

func TestIdentity_certificates_are_signed_by_an_authority_of_our_own(t *testing.T) {
	t.Parallel()
	all := build(t, "default")
	issuers := map[string]issuer{}
	for _, i := range decode[issuer](t, all, "Issuer") {
		issuers[i.Name] = i
	}
	for _, name := range []string{"capmaas-lxdprovisioner-tls", "capmaas-manager-tls", "capmaas-operator-tls"} {
		leaf := certificateOf(t, all, name)
		assert.False(t, leaf.Spec.IsCA, name)
		assert.Equal(t, "Always", leaf.Spec.PrivateKey.RotationPolicy, name)
		signs := issuers[leaf.Spec.IssuerRef.Name]
		require.NotNil(t, signs.Spec.CA, "%s is signed by no authority", name)
		authority := certificateOf(t, all, signs.Spec.CA.SecretName)
		assert.True(t, authority.Spec.IsCA)
		assert.Equal(t, "Never", authority.Spec.PrivateKey.RotationPolicy, "with a new key nobody would trust the certificates that are out")
		assert.NotNil(t, issuers[authority.Spec.IssuerRef.Name].Spec.SelfSigned)
	}
}

func TestIdentity_development_has_no_certificates_of_manager_and_service(t *testing.T) {
	t.Parallel()
	all := build(t, "development")
	made := decode[certificate](t, all, "Certificate")
	require.Len(t, made, 1)
	assert.Equal(t, "capmaas-webhook-service-cert", made[0].Spec.SecretName)
	options, told := parse(t, "development")
	assert.True(t, told.Insecure)
	assert.True(t, options.ProvisionerInsecure)
	assert.Equal(t, "debug", told.LogLevel)
	assert.EqualValues(t, 1, *serviceOf(t, decode[appsv1.Deployment](t, all, "Deployment")).Spec.Replicas)
}

func TestDiagnostics_are_shown_to_whom_the_API_server_lets_read_them(t *testing.T) {
	t.Parallel()
	all := build(t, "default")
	options, _ := parse(t, "default")
	require.NotEmpty(t, options.DiagnosticsAddress)
	assert.False(t, options.InsecureDiagnostics)
	manager := managerOf(t, decode[appsv1.Deployment](t, all, "Deployment"))
	var ports []string
	for _, p := range manager.Spec.Template.Spec.Containers[0].Ports {
		ports = append(ports, p.Name)
		if p.Name == "diagnostics" {
			assert.True(t, strings.HasSuffix(options.DiagnosticsAddress, ":8443"))
			assert.EqualValues(t, 8443, p.ContainerPort)
		}
	}
	assert.NotContains(t, ports, "metrics", "nothing is in the clear")

	roles := map[string][]rbacv1.PolicyRule{}
	for _, role := range decode[rbacv1.ClusterRole](t, all, "ClusterRole") {
		roles[role.Name] = role.Rules
	}
	bound := map[string]string{}
	for _, binding := range decode[rbacv1.ClusterRoleBinding](t, all, "ClusterRoleBinding") {
		require.Len(t, binding.Subjects, 1, binding.Name)
		assert.Equal(t, rbacv1.Subject{Kind: "ServiceAccount", Name: manager.Spec.Template.Spec.ServiceAccountName, Namespace: manager.Namespace}, binding.Subjects[0])
		bound[binding.RoleRef.Name] = binding.Name
		require.Contains(t, roles, binding.RoleRef.Name)
	}
	var asked []string
	for _, rule := range roles["capmaas-diagnostics-guard-role"] {
		assert.Equal(t, []string{"create"}, rule.Verbs)
		asked = append(asked, rule.Resources...)
	}
	assert.ElementsMatch(t, []string{"tokenreviews", "subjectaccessreviews"}, asked)
	assert.Contains(t, bound, "capmaas-diagnostics-guard-role")
	assert.Equal(t, []rbacv1.PolicyRule{{NonResourceURLs: []string{"/metrics"}, Verbs: []string{"get"}}}, roles["capmaas-metrics-reader"])
	assert.NotContains(t, bound, "capmaas-metrics-reader", "whoever runs Prometheus binds it")
}

// certificateOf gives the Certificate whose Secret has the name.
func certificateOf(t *testing.T, all resmap.ResMap, secret string) certificate {
	t.Helper()
	for _, c := range decode[certificate](t, all, "Certificate") {
		if c.Spec.SecretName == secret {
			return c
		}
	}
	require.Failf(t, "no Certificate", "for Secret %s", secret)
	return certificate{}
}

// secretAt gives the Secret that is mounted at a directory.
func secretAt(t *testing.T, d appsv1.Deployment, dir string) string {
	t.Helper()
	for _, mount := range d.Spec.Template.Spec.Containers[0].VolumeMounts {
		if mount.MountPath != dir {
			continue
		}
		assert.True(t, mount.ReadOnly, dir)
		for _, v := range d.Spec.Template.Spec.Volumes {
			if v.Name == mount.Name {
				require.NotEqual(t, corev1.VolumeSource{}, v.VolumeSource)
				return v.Secret.SecretName
			}
		}
	}
	require.Failf(t, "no Secret", "%s mounts none at %s", d.Name, dir)
	return ""
}
