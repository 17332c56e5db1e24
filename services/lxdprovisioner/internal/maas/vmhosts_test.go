package maas_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/maas"
)

func TestCheckVMHosts_asks_for_the_list_only_where_nothing_else_tells(t *testing.T) {
	t.Parallel()
	gone := answer{410, plain, "", "VM host (KVM) support has been removed from MAAS."}
	for name, c := range map[string]struct {
		answers []answer
		reason  fault.Reason
	}{
		"there_is_a_first_host": {[]answer{{200, form, "", `{"id":1,"name":"lxd-1"}`}}, ""},
		"the_first_host_went":   {[]answer{{404, "text/plain", "", "Not Found"}}, ""},
		"there_are_no_VM_hosts": {[]answer{gone}, fault.ReasonMAASVMHostRemoved},
		"only_the_list_is_gone": {[]answer{{404, plain, "", "Unknown API endpoint: /MAAS/api/2.0/vm-hosts/1/."}, gone}, fault.ReasonMAASVMHostRemoved},
		"the_key_is_refused":    {[]answer{{401, page, "", "Authorization Error: Invalid API key."}}, fault.ReasonMAASKeyRefused},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := serve(t, c.answers...)
			err := client(t, g.URL, func(cfg *maas.Config) { cfg.Retry.Attempts = 1 }).CheckVMHosts(t.Context())
			if c.reason == "" {
				require.NoError(t, err)
			} else {
				require.Error(t, err)
				require.Equal(t, c.reason, fault.ReasonOf(err), "%v", err)
			}
			require.Len(t, g.seen(), len(c.answers))
		})
	}
}
