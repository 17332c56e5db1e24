package stack

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// grace is how long a program may take to end in order.
const grace = 30 * time.Second

// Program is a delivered program in a process of its own.
type Program struct {
	name string
	cmd  *exec.Cmd
	log  *bytes.Buffer
	done chan struct{}
}

// StartProgram starts a program with a clean environment but for env.
func StartProgram(name, binary string, env []string, args ...string) (*Program, error) {
	p := &Program{name: name, cmd: exec.Command(binary, args...), log: &bytes.Buffer{}, done: make(chan struct{})} //nolint:noctx // our own binary; Stop ends it in order
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = env, p.log, p.log
	// Ctrl-C reaches the test alone, which then stops everything in its order.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// Peak is the most memory in bytes that the process has had in use so far, as the kernel counts it (VmHWM).
func (p *Program) Peak() (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("read the memory of %s: %w", p.name, err)
	}
	lines := bufio.NewScanner(bytes.NewReader(status))
	for lines.Scan() {
		if value, ok := strings.CutPrefix(lines.Text(), "VmHWM:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(value, "kB")), 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("read the memory of %s: the kernel does not tell its peak", p.name)
}

// Stop lets the program end in order.
func (p *Program) Stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(grace):
		_ = p.cmd.Process.Kill()
		<-p.done
		return fmt.Errorf("%s did not stop within %s and was killed", p.name, grace)
	}
	if !p.cmd.ProcessState.Success() {
		return errors.New(p.name + ": " + p.cmd.ProcessState.String() + ": " + tail(p.log.String()))
	}
	return nil
}

// tail is the end of a log.
func tail(text string) string {
	const most = 2000
	return text[max(0, len(text)-most):]
}
