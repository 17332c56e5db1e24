package app_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
	"github.com/capmaas/capmaas/services/lxdprovisioner/app"
	"github.com/capmaas/capmaas/services/maassim"
)

// joinToken stands for what the user data holds.
const joinToken = "abcdef.0123456789abcdef"

func deploy(name, userData string) *lxdprovisionerv1.DeployVMRequest {
	return &lxdprovisionerv1.DeployVMRequest{
		Attempt: attempt(name), Owner: owner(), Image: &lxdprovisionerv1.Image{Os: "ubuntu", Series: "jammy"}, UserData: []byte(userData),
	}
}

// life takes a VM and a machine through every call that carries a secret, and gives all errors.
func life(t *testing.T, s *service) string {
	t.Helper()
	var errs strings.Builder
	note := func(err error) {
		if err != nil {
			errs.WriteString(err.Error() + "\n")
		}
	}
	lxd, metal := lxdprovisionerv1.NewLXDProvisionerClient(s.conn), lxdprovisionerv1.NewBareMetalProvisionerClient(s.conn)
	_, err := lxd.ComposeVM(t.Context(), compose("cp-0"))
	note(err)
	_, err = lxd.DeployVM(t.Context(), deploy("cp-0", "token: "+joinToken))
	note(err)
	_, err = lxd.DeployVM(t.Context(), deploy("Not A Name", "token: "+joinToken))
	note(err)
	ref := &lxdprovisionerv1.MachineRef{AgentName: "capmaas/w-0"}
	allocated, err := metal.AllocateMachine(t.Context(), &lxdprovisionerv1.AllocateMachineRequest{Machine: ref, Owner: owner()})
	note(err)
	ref.SystemId = allocated.GetMachine().GetSystemId()
	_, err = metal.DeployMachine(t.Context(), &lxdprovisionerv1.DeployMachineRequest{
		Machine: ref, Owner: owner(), Image: &lxdprovisionerv1.Image{Os: "ubuntu", Series: "jammy"}, UserData: []byte("token: " + joinToken), KeepSwap: true,
	})
	note(err)
	region, err := lxdprovisionerv1.NewRegionProvisionerClient(s.conn).GetRegion(t.Context(), &lxdprovisionerv1.GetRegionRequest{})
	note(err)
	errs.WriteString(region.GetProblem())
	return errs.String()
}

// assertSilent looks for secrets in everything that leaves the service.
func assertSilent(t *testing.T, s *service, errs string, secrets ...string) {
	t.Helper()
	for name, text := range map[string]string{"an error": errs, "the log": s.logs.String(), "a metric": s.scrape(t)} {
		require.NotEmpty(t, text, name)
		for _, secret := range secrets {
			assert.NotContains(t, text, secret, "%s holds a secret", name)
		}
	}
}

func TestService_tells_no_secret_while_all_is_well(t *testing.T) {
	t.Parallel()
	r := newRegion(t, nil)
	s := r.start(t, nil)
	errs := life(t, s)
	vm, ok := r.Machine("cp-0")
	require.True(t, ok)
	sent, ok := r.UserData(vm.SystemID)
	require.True(t, ok)
	encoded := base64.StdEncoding.EncodeToString([]byte("token: " + joinToken))
	require.Equal(t, encoded, sent, "the user data did reach MAAS")
	assertSilent(t, s, errs, append(strings.Split(r.APIKey(), ":"), joinToken, encoded)...)
}

func TestService_tells_no_secret_of_a_key_that_MAAS_refuses(t *testing.T) {
	t.Parallel()
	const leaked = "TheTokenSecretOfTheRealKey0001"
	r := newRegion(t, nil)
	// A real MAAS answers a wrong signature with the token secret that it expected.
	require.NoError(t, r.AddFaults(maassim.Fault{
		Status: http.StatusUnauthorized, Body: "Authorization Error: Invalid signature. Expected signature base string: &" + leaked,
	}))
	s := r.start(t, func(c *app.Config) {
		c.Getenv = func(name string) string {
			return map[string]string{"MAAS_ENDPOINT": r.server.URL, "MAAS_API_KEY": "wrongconsumer:wrongtoken:wrongsecret"}[name]
		}
	})
	errs := life(t, s)
	require.Contains(t, errs, "key", "the refusal is told")
	assertSilent(t, s, errs, leaked, "wrongsecret", "wrongtoken", "wrongconsumer", joinToken)
}
