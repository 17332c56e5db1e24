// Package process runs programs as processes of their own, each with a log, and ends them in order.
package process

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// grace is how long a process may take to end in order. API servers wait for their watches, the service for what it has sent.
const grace = 30 * time.Second

// Spec says what to run.
type Spec struct {
	// Name is what messages call it.
	Name string
	// Binary is the program, Args its arguments, Env what it gets besides this process's environment.
	Binary    string
	Args, Env []string
	// Log is the file that its output is appended to.
	Log string
	// Foreign programs may end as they like when they are asked to: etcd ends by the signal itself.
	Foreign bool
}

// Process is a running program. It sits in a process group of its own, so that Ctrl-C reaches this process alone, which
// then stops everything in its order.
type Process struct {
	spec Spec
	cmd  *exec.Cmd
	done chan struct{}
}

// Start starts a program.
func Start(spec Spec) (*Process, error) {
	log, err := os.OpenFile(spec.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", spec.Name, err)
	}
	defer func() { _ = log.Close() }()             // the child has a descriptor of its own
	cmd := exec.Command(spec.Binary, spec.Args...) //nolint:noctx // our own program; Stop ends it in order, a context would kill it
	cmd.Stdout, cmd.Stderr, cmd.Env = log, log, append(os.Environ(), spec.Env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", spec.Name, err)
	}
	p := &Process{spec: spec, cmd: cmd, done: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // the state of the process tells the same
		close(p.done)
	}()
	return p, nil
}

// Name is what messages call the process.
func (p *Process) Name() string { return p.spec.Name }

// Exited says that the process has ended and with what, or nil while it runs.
func (p *Process) Exited() error {
	select {
	case <-p.done:
		return fmt.Errorf("%s has ended by itself: %w", p.spec.Name, p.verdict())
	default:
		return nil
	}
}

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Kill ends the process as a power cut does.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // it may have ended by itself
	<-p.done
}

// Restart starts the same program again, after Kill or Stop.
func (p *Process) Restart() (*Process, error) { return Start(p.spec) }

// Stop asks the process to end and, after a grace time, ends it. The error says what was not in order about it.
func (p *Process) Stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended by itself
	select {
	case <-p.done:
	case <-time.After(grace):
		p.Kill()
		return fmt.Errorf("%s did not stop within %s and was killed; see %s", p.spec.Name, grace, p.spec.Log)
	}
	if !p.spec.Foreign && !p.cmd.ProcessState.Success() {
		return fmt.Errorf("%s: %w", p.spec.Name, p.verdict())
	}
	return nil
}

// verdict is how the process ended, and the end of its log.
func (p *Process) verdict() error {
	const most = 2000
	text, err := os.ReadFile(p.spec.Log)
	if err != nil {
		return errors.Join(errors.New(p.cmd.ProcessState.String()), err)
	}
	return fmt.Errorf("%s; %s ends with:\n%s", p.cmd.ProcessState, p.spec.Log, text[max(0, len(text)-most):])
}

// FreeAddress gives a loopback address that nobody listens on.
func FreeAddress(ctx context.Context) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return l.Addr().String(), l.Close()
}

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
