// Package sandbox is the body of a machine: namespaces of its own in which a root of its own is put together from the host's
// programs and the Kubernetes of its image. Nothing that it does reaches the host's files, and what runs in it ends with it.
package sandbox

import (
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/capmaas/capmaas/test/e2e/internal/world"
)

// Machine is what a machine is born with: what its firmware, its image and DHCP give a real one.
type Machine struct {
	Hostname string
	Address  netip.Addr
	// Further are its addresses in other subnets.
	Further []netip.Addr
	// Kubernetes is the directory of the programs that its image holds, Version what they are.
	Kubernetes, Version string
	// Programs are further directories of programs that the image holds.
	Programs []string
	// Dir is where its logs go.
	Dir string
	// Metadata is the URL of its user data.
	Metadata string
}

// Sandbox is a machine that is switched on.
type Sandbox struct {
	cable string
	cmd   *exec.Cmd
	done  chan struct{}
	err   error // valid once done is closed
}

// configuration is the file descriptor on which the program gets its Machine.
const configuration = 3

// Start switches a machine on: it starts the program with namespaces of its own, plugs it in and tells it who it is. The cable's
// name must be used by no other.
func Start(program, cable string, m Machine) (*Sandbox, error) {
	if err := os.MkdirAll(m.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make %s: %w", m.Dir, err)
	}
	console, err := os.OpenFile(filepath.Join(m.Dir, "console.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the console of %s: %w", m.Hostname, err)
	}
	defer func() { _ = console.Close() }()
	read, write, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make a pipe: %w", err)
	}
	defer func() { _ = write.Close() }()
	cmd := exec.Command(program) //nolint:noctx // Kill ends it
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = console, console, []*os.File{read}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC}
	err = cmd.Start()
	_ = read.Close() // the child has its own
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", m.Hostname, err)
	}
	s := &Sandbox{cable: cable, cmd: cmd, done: make(chan struct{})}
	go func() {
		s.err = cmd.Wait()
		close(s.done)
	}()
	if err := world.Plug(cmd.Process.Pid, cable); err != nil {
		s.Kill()
		return nil, err
	}
	if err := json.NewEncoder(write).Encode(m); err != nil {
		s.Kill()
		return nil, fmt.Errorf("tell %s who it is: %w", m.Hostname, err)
	}
	return s, nil
}

// Kill switches the machine off. Everything in it ends at once.
func (s *Sandbox) Kill() {
	_ = s.cmd.Process.Kill() // it may have ended by itself
	<-s.done
	world.Unplug(s.cable)
}

// Done is closed when the machine has ended, by itself or by Kill.
func (s *Sandbox) Done() <-chan struct{} { return s.done }

// Born reads who this process is, waiting until it is plugged in, and makes it so: name, network, root. It is called once, by the
// program that Start started.
func Born() (Machine, error) {
	var m Machine
	pipe := os.NewFile(configuration, "configuration")
	text, err := io.ReadAll(pipe)
	if err != nil {
		return m, fmt.Errorf("read who this is: %w", err)
	}
	_ = pipe.Close() // it was read to its end
	if err := json.Unmarshal(text, &m); err != nil {
		return m, fmt.Errorf("read who this is: %w", err)
	}
	if err := unix.Sethostname([]byte(m.Hostname)); err != nil {
		return m, fmt.Errorf("set the hostname: %w", err)
	}
	if err := world.Configure(append([]netip.Addr{m.Address}, m.Further...)...); err != nil {
		return m, err
	}
	if err := moveIn(m); err != nil {
		return m, err
	}
	if err := leaveSocket(); err != nil {
		return m, err
	}
	return m, dropPrivileges()
}
