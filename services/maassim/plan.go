package maassim

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/capmaas/capmaas/services/maassim/internal/fault"
)

// ParseFault reads a fault as a flag holds it, for example "operation=vm-hosts.compose,host=lxd-3,status=503,count=2"; the names are those of
// the JSON fields. A comma inside a value is written \, and between patterns |.
func ParseFault(text string) (Fault, error) { return fault.Parse(text) }

// LoadFaults reads a fault plan from a JSON file: a list of faults, one fault, or an object with the list as "faults".
func LoadFaults(path string) ([]Fault, error) {
	data, err := os.ReadFile(path) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, fmt.Errorf("read the fault plan: %w", err)
	}
	faults, err := fault.ParseAll(data)
	if err != nil {
		return nil, fmt.Errorf("fault plan %s: %w", path, err)
	}
	return faults, nil
}

// FaultPresets returns the names that Fault.Preset takes.
func FaultPresets() []string { return fault.Presets() }

// Catalogue returns the operations of the API, with the names by which faults and counts know them.
func (s *Sim) Catalogue() []Operation { return s.api.Catalogue() }

// AddFaults adds faults to the plan. It fails for a fault that could never do anything, and then adds none.
func (s *Sim) AddFaults(faults ...Fault) error {
	world := fault.World{Operations: s.api.Operations(), Hosts: s.lxd.Hosts(), Users: s.users}
	for _, o := range s.api.Catalogue() {
		ofMachine := strings.Contains(o.Path, "{system_id}") || slices.Contains([]string{"machines.allocate", "machines.release_many"}, o.Name)
		if ofMachine {
			world.OfMachines = append(world.OfMachines, o.Name)
		}
		if ofMachine || strings.HasPrefix(o.Name, "vm-hosts.") && strings.Contains(o.Path, "{id}") {
			world.OfHosts = append(world.OfHosts, o.Name)
		}
	}
	for n, f := range faults {
		if err := f.ValidateIn(world); err != nil {
			return fmt.Errorf("fault %d: %w", n, err)
		}
	}
	s.plan.Add(faults...)
	return nil
}

// ClearFaults empties the fault plan; hosts that are offline stay so.
func (s *Sim) ClearFaults() { s.plan.Clear() }

// Faults returns what is left of the fault plan.
func (s *Sim) Faults() []Fault { return s.plan.Faults() }
