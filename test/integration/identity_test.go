package integration_test

import (
	"cmp"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/proto/mtls"
	"github.com/capmaas/capmaas/proto/mtls/mtlstest"
	"github.com/capmaas/capmaas/services/maassim"
)

// Who manager and service are.
var (
	service = mtlstest.Subject{DNSNames: []string{mtls.ServerName}}
	manager = mtlstest.Subject{CommonName: "capmaas-manager"}
)

func newAuthority(t *testing.T) *mtlstest.Authority {
	t.Helper()
	authority, err := mtlstest.NewAuthority("authority of "+t.Name(), time.Now)
	require.NoError(t, err)
	return authority
}

// issueCertificates gives both sides a certificate of a new authority.
func (s *stack) issueCertificates(t *testing.T) {
	t.Helper()
	s.authority = newAuthority(t)
	require.NoError(t, s.authority.Mount(s.serviceTLS, service))
	require.NoError(t, s.authority.Mount(s.managerTLS, manager))
}

// TestIdentity goes through what an operator gets wrong with certificates. Each time the cluster says
// what to do, and when that is done the manager goes on by itself.
func TestIdentity_what_is_wrong_with_the_certificates_is_told_on_the_cluster(t *testing.T) {
	t.Parallel()
	s := newStack(t, maassim.DefaultConfig(2, 1, 0))
	s.makeCluster(t)
	s.awaitClusterCondition(t, infrav1.ProvisionerAvailableCondition, metav1.ConditionTrue, "")
	theirs := newAuthority(t)
	mount := func(dir string, by *mtlstest.Authority, s mtlstest.Subject, trusted *mtlstest.Authority) {
		t.Helper()
		pair, err := by.Issue(s)
		require.NoError(t, err)
		require.NoError(t, mtlstest.Mount(dir, pair, trusted))
	}
	for _, c := range []struct {
		name         string
		dir          string
		by           *mtlstest.Authority
		subject      mtlstest.Subject
		trusted      *mtlstest.Authority
		reason, says string
	}{
		{
			"the manager has a certificate of another authority", s.managerTLS, theirs, manager, nil,
			infrav1.ProvisionerUnreachableReason, "refuses the manager's certificate",
		},
		{
			"the manager trusts another authority", s.managerTLS, nil, manager, theirs,
			infrav1.ProvisionerUnreachableReason, "ca.crt in --provisioner-tls-dir",
		},
		{
			"the service's certificate has expired", s.serviceTLS, nil,
			mtlstest.Subject{DNSNames: service.DNSNames, Expired: true},
			nil,
			infrav1.ProvisionerUnreachableReason, "has expired",
		},
		{
			"the service's certificate has another name", s.serviceTLS, nil,
			mtlstest.Subject{DNSNames: []string{"elsewhere"}},
			nil,
			infrav1.ProvisionerUnreachableReason, "--provisioner-server-name",
		},
		{"the manager's certificate names somebody", s.managerTLS, nil, mtlstest.Subject{CommonName: "somebody"}, nil, "CALLER_NOT_ALLOWED", "--manager-identity"},
	} {
		mount(c.dir, cmp.Or(c.by, s.authority), c.subject, cmp.Or(c.trusted, s.authority))
		s.eventually(t, func(check *assert.CollectT) {
			m := &infrav1.MaasCluster{}
			require.NoError(check, s.client.Get(t.Context(), client.ObjectKey{Namespace: s.namespace, Name: clusterName}, m))
			assertCondition(check, m.Status.Conditions, infrav1.ProvisionerAvailableCondition, metav1.ConditionFalse, c.reason, c.says)
		})
		s.issueCertificates(t)
		s.awaitClusterCondition(t, infrav1.ProvisionerAvailableCondition, metav1.ConditionTrue, "")
	}
	s.makeVM(t, "vm-0")
	s.awaitProvisioned(t, 1)
	s.deleteCluster(t)
	s.assertNothingLeft(t)
}
