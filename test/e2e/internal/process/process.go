// Package process runs programs beside each other, each with a log of its own.
package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// grace is how long a process may take to stop before it is killed. API servers wait for their watches.
const grace = 30 * time.Second

// Spec says what to run.
type Spec struct {
	// Name is that of the log file, without its ending.
	Name string
	// Binary is the program, Args its arguments, Env what it gets besides the environment.
	Binary    string
	Args, Env []string
	// LogDir is where the log is appended to.
	LogDir string
}

// Process is a running program.
type Process struct {
	spec Spec
	cmd  *exec.Cmd
	done chan struct{}
	err  error // valid once done is closed
}

// Start starts a program.
func Start(spec Spec) (*Process, error) {
	log, err := os.OpenFile(filepath.Join(spec.LogDir, spec.Name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", spec.Name, err)
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command(spec.Binary, spec.Args...) //nolint:noctx // a run ends its processes in order, a context would kill them
	cmd.Stdout, cmd.Stderr, cmd.Env = log, log, append(os.Environ(), spec.Env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", spec.Name, err)
	}
	p := &Process{spec: spec, cmd: cmd, done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// Name is the process's name.
func (p *Process) Name() string { return p.spec.Name }

// Exited says that the process has ended and with what, or nil while it runs.
func (p *Process) Exited() error {
	select {
	case <-p.done:
		return errors.Join(fmt.Errorf("%s has ended: see %s.log", p.spec.Name, filepath.Join(p.spec.LogDir, p.spec.Name)), p.err)
	default:
		return nil
	}
}

// Kill ends the process as a power cut does.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // it may have ended by itself
	<-p.done
}

// Stop asks the process to end and, after a grace time, ends it.
func (p *Process) Stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended by itself
	select {
	case <-p.done:
		return nil
	case <-time.After(grace):
		p.Kill()
		return fmt.Errorf("%s did not stop within %s and was killed", p.spec.Name, grace)
	}
}

// Restart starts the same program again, after Kill or Stop.
func (p *Process) Restart() (*Process, error) { return Start(p.spec) }

// Await calls check until it is nil, the context ends, the time is up or alive says that something is gone.
func Await(ctx context.Context, what string, atMost time.Duration, alive func() error, check func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, atMost)
	defer cancel()
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		if gone := alive(); gone != nil {
			return fmt.Errorf("wait for %s: %w", what, gone)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w (last: %w)", what, context.Cause(ctx), err)
		case <-ticker.C:
		}
	}
}
