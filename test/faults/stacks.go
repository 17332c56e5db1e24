package faults

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime/pprof"
	"time"
)

// keepStacks writes down what every goroutine of the process does, services and managers of all worlds, where something of this
// world has not moved for a third of the patience: what it waits for is not to be seen any more once it counts as stuck. It
// says whether it has written.
func (w *world) keepStacks(still time.Duration, wrong int) bool {
	o := w.campaign.options
	if o.Stacks == "" || still <= o.Patience/3 {
		return false
	}
	path := filepath.Join(o.Stacks, fmt.Sprintf("stacks-%s-%s.txt", w.namespace, now().Format("150405")))
	if err := writeStacks(path); err != nil {
		w.campaign.printf("  write the stacks: %v", err)
		return true
	}
	w.campaign.printf("  %s does not move, %d things are wrong: stacks are in %s", w.namespace, wrong, path)
	return true
}

func writeStacks(path string) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // the stacks help, and nothing depends on them
	return pprof.Lookup("goroutine").WriteTo(file, 2)
}
