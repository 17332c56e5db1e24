package providerid_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/api/providerid"
)

func TestParse_P9_reads_every_form_that_objects_and_nodes_hold(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		text string
		want providerid.ID
	}{
		"R8.4_bare_metal":                  {"maas:///az1/abc123", providerid.ID{Scheme: providerid.BareMetal, Zone: "az1", SystemID: "abc123"}},
		"R8.4_VM":                          {"maas-lxd:///az1/abc123", providerid.ID{Scheme: providerid.LXD, Zone: "az1", SystemID: "abc123"}},
		"bare_metal_without_zone":          {"maas:////abc123", providerid.ID{Scheme: providerid.BareMetal, SystemID: "abc123"}},
		"VM_without_zone":                  {"maas-lxd:////abc123", providerid.ID{Scheme: providerid.LXD, SystemID: "abc123"}},
		"bare_metal_with_two_slashes":      {"maas://az1/abc123", providerid.ID{Scheme: providerid.BareMetal, Zone: "az1", SystemID: "abc123"}},
		"VM_with_two_slashes":              {"maas-lxd://az1/abc123", providerid.ID{Scheme: providerid.LXD, Zone: "az1", SystemID: "abc123"}},
		"VM_with_two_slashes_without_zone": {"maas-lxd:///abc123", providerid.ID{Scheme: providerid.LXD, SystemID: "abc123"}},
		"VM_with_host":                     {"maas-lxd:///az1/host42/abc123", providerid.ID{Scheme: providerid.LXD, Zone: "az1", HostSystemID: "host42", SystemID: "abc123"}},
		"VM_with_host_without_zone":        {"maas-lxd:////host42/abc123", providerid.ID{Scheme: providerid.LXD, HostSystemID: "host42", SystemID: "abc123"}},
		"zone_with_a_blank":                {"maas:///Rack 7/abc123", providerid.ID{Scheme: providerid.BareMetal, Zone: "Rack 7", SystemID: "abc123"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			id, err := providerid.Parse(tc.text)
			require.NoError(t, err)
			assert.Equal(t, tc.want, id)
		})
	}
}

func TestParse_refuses_what_names_no_machine(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"empty":                    "",
		"no_scheme":                "az1/abc123",
		"only_a_scheme":            "maas://",
		"somebody_elses_scheme":    "aws:///az1/abc123",
		"scheme_in_capitals":       "MAAS:///az1/abc123",
		"trailing_slash":           "maas:///az1/",
		"too_many_segments":        "maas-lxd:///az1/host/abc123/more",
		"host_of_a_bare_metal":     "maas:///az1/host/abc123",
		"empty_host":               "maas-lxd:///az1//abc123",
		"system_id_with_dots":      "maas:///az1/..",
		"system_id_with_a_query":   "maas:///az1/abc?x=1",
		"zone_with_a_line_break":   "maas:///az\n1/abc123",
		"host_with_two_slashes":    "maas-lxd://az1/host42/abc123",
		"system_id_without_a_path": "maas://abc123",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := providerid.Parse(text)
			assert.Error(t, err)
		})
	}
}

func TestFormat_P9_R8_4_writes_IDs_that_tell_VMs_from_bare_metal(t *testing.T) {
	t.Parallel()
	metal, err := providerid.Format(providerid.BareMetal, "az1", "abc123")
	require.NoError(t, err)
	assert.Equal(t, "maas:///az1/abc123", metal, "R8.4")

	vm, err := providerid.Format(providerid.LXD, "az1", "abc123")
	require.NoError(t, err)
	assert.Equal(t, "maas-lxd:///az1/abc123", vm, "R8.4")

	withoutZone, err := providerid.Format(providerid.BareMetal, "", "abc123")
	require.NoError(t, err)
	assert.Equal(t, "maas:////abc123", withoutZone)
}

func TestFormat_refuses_what_could_not_be_parsed(t *testing.T) {
	t.Parallel()
	for name, id := range map[string]providerid.ID{
		"no_system_id":           {Scheme: providerid.LXD, Zone: "az1"},
		"system_id_with_a_slash": {Scheme: providerid.LXD, Zone: "az1", SystemID: "a/b"},
		"zone_with_a_slash":      {Scheme: providerid.LXD, Zone: "a/z", SystemID: "abc123"},
		"unknown_scheme":         {Scheme: "lxd", Zone: "az1", SystemID: "abc123"},
		"no_scheme":              {Zone: "az1", SystemID: "abc123"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := providerid.Format(id.Scheme, id.Zone, id.SystemID)
			assert.Error(t, err)
		})
	}
}

func FuzzParse_and_Format_agree(f *testing.F) {
	for _, seed := range []string{
		"maas:///az1/abc123", "maas:////abc123", "maas-lxd://az1/abc123", "maas-lxd:///az1/host42/abc123", "maas-lxd:////host42/abc123",
		"maas:///abc123", "maas://", "://", "maas:///a b/c", "",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		id, err := providerid.Parse(text)
		if err != nil {
			assert.Zero(t, id, "an error comes with no ID")
			return
		}
		again, err := providerid.Format(id.Scheme, id.Zone, id.SystemID)
		require.NoError(t, err, "what was parsed can be formatted")
		parsed, err := providerid.Parse(again)
		require.NoError(t, err, "what was formatted can be parsed")
		id.HostSystemID = ""
		assert.Equal(t, id, parsed)
	})
}
