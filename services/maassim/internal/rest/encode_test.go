package rest_test

import (
	"encoding/json"
	"math"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/maassim/internal/rest"
)

func TestEncode_writes_what_package_json_writes(t *testing.T) {
	t.Parallel()
	text, none := "text", (*string)(nil)
	for name, value := range map[string]any{
		"null":          nil,
		"scalars":       []any{"", "a", true, false, 0, -7, 1 << 40, 1.5, int64(9), uint8(3), &text, none},
		"odd strings":   []string{"<a & b>", `"quoted\"`, "new\nline", "umläut", "\u2028", "\xff", "\x00"},
		"nil and empty": []any{[]string(nil), []string{}, map[string]any(nil), map[string]any{}, []any{}, []map[string]any(nil), map[string]string(nil)},
		"nested": []map[string]any{
			{"b": 1, "a": map[string]any{"z": []int{1, 2}, "y": []map[string]any{{"k": "v"}, {}}}},
			{"texts": map[string]string{"b": "2", "a": "<1>"}, "keys <&>": []string{"x"}},
		},
		"by reflection": map[string]any{
			"struct": struct {
				A []int          `json:"a"`
				B map[string]int `json:"b,omitempty"`
			}{A: []int{1}},
			"big": big.NewInt(0).Lsh(big.NewInt(1), 100),
		},
		"a string alone": "ubuntu",
	} {
		want, err := json.MarshalIndent(value, "", "    ")
		require.NoError(t, err, name)
		got, err := rest.Encode(value)
		require.NoError(t, err, name)
		require.Equal(t, string(want), string(got), name)
	}
}

func TestEncode_writes_floats_as_Python_does(t *testing.T) {
	t.Parallel()
	for want, value := range map[string]float64{
		"8000.0": 8000, "1.0": 1, "0.0": 0, "-2.0": -2, "1.5": 1.5, "0.1": 0.1, "0.0001": 1e-4, "1e-05": 1e-5, "1234567890123456.0": 1234567890123456,
		"1e+16": 1e16, "1.5e+16": 1.5e16, "3e+20": 3e20,
	} {
		got, err := rest.Encode(value)
		require.NoError(t, err)
		require.Equal(t, want, string(got))
	}
}

func TestEncode_refuses_what_JSON_cannot_say(t *testing.T) {
	t.Parallel()
	_, err := rest.Encode(map[string]any{"a": []any{math.NaN()}})
	require.Error(t, err)
	_, err = rest.Encode([]map[string]any{{"a": func() {}}})
	require.Error(t, err)
}
