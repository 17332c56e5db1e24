package maasmachine_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/controllers/internal/webhooks"
)

// A field that changes the request of one mode may still mean nothing in the other. Whoever sets it there is told.
func TestSpec_P8_no_mode_takes_a_field_and_ignores_it(t *testing.T) {
	t.Parallel()
	for mode, request := range map[infrav1.ProvisioningMode]func(*testing.T, *infrav1.MaasMachineSpec) string{
		infrav1.ModeLXD:       vmRequest,
		infrav1.ModeBareMetal: func(_ *testing.T, spec *infrav1.MaasMachineSpec) string { return metalRequest(spec) },
	} {
		walk(reflect.TypeFor[infrav1.MaasMachineSpec](), nil, func(path []int, name string) {
			switch name {
			case "SystemID", "ProviderID", "ProvisioningMode", "LXD.Enabled":
				return // the controller's own, and what says the mode
			}
			t.Run(string(mode)+"/"+name, func(t *testing.T) {
				spec := baseSpec(mode)
				spec.MinCPU, spec.MinMemory = new(int32(2)), new(int32(4096))
				before := request(t, spec)
				set(t, spec, path)
				if request(t, spec) != before {
					return
				}
				template := &infrav1.MaasMachineTemplate{}
				template.Spec.Template.Spec = *spec
				told, err := (&webhooks.MaasMachineTemplate{}).ValidateCreate(t.Context(), template)
				if err != nil {
					told = append(told, err.Error())
				}
				assert.True(t, names(told, jsonPath(path)), "who sets %s is told nothing of it: %q", name, told)
			})
		})
	}
}

// jsonPath gives the names of the fields on the way to a leaf, as users write them.
func jsonPath(path []int) []string {
	var names []string
	at := reflect.TypeFor[infrav1.MaasMachineSpec]()
	for _, i := range path {
		if at.Kind() == reflect.Pointer {
			at = at.Elem()
		}
		name, _, _ := strings.Cut(at.Field(i).Tag.Get("json"), ",")
		names, at = append(names, name), at.Field(i).Type
	}
	return names
}

// names says whether one of the texts names the field, or a block that it is in.
func names(texts, path []string) bool {
	for _, text := range texts {
		for i := range path {
			if strings.Contains(text, "spec.template.spec."+strings.Join(path[:i+1], ".")+":") {
				return true
			}
		}
	}
	return false
}
