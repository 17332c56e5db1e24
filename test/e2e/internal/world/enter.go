// Package world is where a run lives: network, mount and process namespaces of its own, in which loopback, a bridge with the
// simulated subnet and a resolver are all that there is. Whatever a run starts ends with it, for its first process is the
// first of a process namespace.
package world

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// insideVariable tells the program that it is inside.
const insideVariable = "CAPMAAS_E2E_INSIDE"

// patience is how long what is inside may take to end after it was asked to.
const patience = 3 * time.Minute

// Inside reports whether the program is inside.
func Inside() bool { return os.Getenv(insideVariable) != "" }

// Missing says what this machine lacks for a run, or nil.
func Missing() error {
	var errs []error
	if runtime.GOOS != "linux" {
		errs = append(errs, fmt.Errorf("the kernel Linux: this is %s", runtime.GOOS))
	}
	if os.Geteuid() != 0 {
		errs = append(errs, errors.New("the user root: namespaces, a bridge and mounts are made"))
	}
	errs = append(errs, missingCapabilities())
	for _, name := range []string{"net", "mnt", "pid", "uts", "ipc"} {
		if _, err := os.Stat("/proc/self/ns/" + name); err != nil {
			errs = append(errs, fmt.Errorf("%s namespaces in the kernel: %w", name, err))
		}
	}
	if errors.Join(errs...) == nil {
		errs = append(errs, tryNamespaces())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("a run of real clusters needs:\n%w", err)
	}
	return nil
}

// namespaces are those of a run.
const namespaces = unix.CLONE_NEWNET | unix.CLONE_NEWNS | unix.CLONE_NEWPID

// tryNamespaces starts a program in namespaces of its own, from which a filter of system calls may keep even a root with every capability.
func tryNamespaces() error {
	cmd := exec.Command("/bin/true") //nolint:noctx // it ends at once
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: namespaces}
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("namespaces, which are refused here: %w", err)
	}
	return nil
}

// missingCapabilities says what root may not do here: in a container it may be root by name alone.
func missingCapabilities() error {
	var has [2]unix.CapUserData // 32 capabilities each
	if err := unix.Capget(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &has[0]); err != nil {
		return fmt.Errorf("read the capabilities: %w", err)
	}
	var errs []error
	for name, bit := range map[string]int{"CAP_SYS_ADMIN": unix.CAP_SYS_ADMIN, "CAP_NET_ADMIN": unix.CAP_NET_ADMIN} {
		if has[bit/32].Effective&(1<<(bit%32)) == 0 {
			errs = append(errs, fmt.Errorf("the capability %s", name))
		}
	}
	return errors.Join(errs...)
}

// Again runs the program again inside, with the same arguments, and gives what it ended with; 2 where this machine lacks something.
// What hinders it is written under the program's name.
func Again(name string, stderr io.Writer) int {
	if err := Missing(); err != nil {
		_, _ = fmt.Fprintf(stderr, "%s: %v\n", name, err) // nobody is left to be told otherwise
		return 2
	}
	err := Enter(context.Background())
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit) && exit.Exited():
		return exit.ExitCode() // it has said why itself
	}
	_, _ = fmt.Fprintf(stderr, "%s: %v\n", name, err)
	return 1
}

// Enter runs the program again inside, with the same arguments, and returns when that has ended. It takes the end of the
// context and of this process along.
func Enter(ctx context.Context) error {
	runtime.LockOSThread() // the child dies with the thread that made it
	defer runtime.UnlockOSThread()
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	cmd := exec.CommandContext(ctx, "/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), insideVariable+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = nil, os.Stdout, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = patience
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: namespaces, Pdeathsig: syscall.SIGKILL, Setpgid: true,
	}
	err := cmd.Run()
	if cmd.ProcessState != nil && cmd.ProcessState.Success() {
		return nil // it was asked to end, and had nothing against it
	}
	return err
}
