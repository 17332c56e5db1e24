package process

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// Peak is the most memory in bytes that the process has had in use so far, as the kernel counts it (VmHWM).
func (p *Process) Peak() (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("read the memory of %s: %w", p.spec.Name, err)
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("read the memory of %s: the kernel does not tell its peak", p.spec.Name)
}

// tick is the unit of /proc/<pid>/stat: USER_HZ, which is 100 wherever Go runs on Linux.
const tick = time.Second / 100

// CPU is the time on processors that the process has had so far, in user mode and in the kernel.
func (p *Process) CPU() (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("read the time of %s: %w", p.spec.Name, err)
	}
	// The second field is a name in parentheses, which may hold anything; utime and stime are the 14th and 15th.
	const utime, stime = 14 - 3, 15 - 3
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) <= stime {
		return 0, fmt.Errorf("read the time of %s: the kernel tells %d fields", p.spec.Name, len(fields))
	}
	var sum time.Duration
	for _, at := range []int{utime, stime} {
		ticks, err := strconv.ParseInt(fields[at], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read the time of %s: %w", p.spec.Name, err)
		}
		sum += time.Duration(ticks) * tick
	}
	return sum, nil
}
