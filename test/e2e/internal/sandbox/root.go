package sandbox

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/capmaas/capmaas/test/e2e/internal/world"
)

// Where the programs of an image are in a machine.
const programs = "/opt/programs"

// Path is the PATH of everything in a machine.
func (m Machine) Path() string {
	all := make([]string, 0, len(m.Programs)+3)
	for at := range m.images() {
		all = append(all, fmt.Sprintf("%s/%d", programs, at))
	}
	return strings.Join(append(all, "/usr/sbin", "/usr/bin"), ":")
}

func (m Machine) images() []string { return append([]string{m.Kubernetes}, m.Programs...) }

// capacity bounds what a machine may write; it is memory.
const capacity = "size=2g"

// moveIn puts a root together and makes it the process's own. The old one is gone afterwards.
func moveIn(m Machine) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make the mounts private: %w", err)
	}
	root := filepath.Join(m.Dir, "root")
	if err := os.MkdirAll(root, 0o700); err != nil {
		return fmt.Errorf("make the root: %w", err)
	}
	if err := unix.Mount("root", root, "tmpfs", 0, capacity); err != nil {
		return fmt.Errorf("mount the root: %w", err)
	}
	for _, step := range []func() error{
		func() error { return directories(root) },
		func() error { return hostPrograms(root) },
		func() error { return imagePrograms(root, m) },
		func() error { return bind(m.Dir, filepath.Join(root, "var/log")) },
		func() error { return devices(root) },
		func() error { return settings(root, m) },
	} {
		if err := step(); err != nil {
			return fmt.Errorf("put the root together: %w", err)
		}
	}
	return pivot(root)
}

func directories(root string) error {
	var errs []error
	for _, dir := range []string{"dev", "etc", "opt", "proc", "root", "run", "sys", "tmp", "usr", "var/lib", "var/log"} {
		errs = append(errs, os.MkdirAll(filepath.Join(root, dir), 0o755))
	}
	return errors.Join(append(errs, os.Chmod(filepath.Join(root, "tmp"), 0o1777), os.Symlink("../run", filepath.Join(root, "var/run")))...)
}

// hostPrograms takes /usr as it is, and what a host keeps beside it or links into it.
func hostPrograms(root string) error {
	if err := bindReadOnly("/usr", filepath.Join(root, "usr")); err != nil {
		return err
	}
	for _, dir := range []string{"bin", "sbin", "lib", "lib64"} {
		if target, err := os.Readlink("/" + dir); err == nil {
			if err := os.Symlink(target, filepath.Join(root, dir)); err != nil {
				return err
			}
			continue
		}
		if _, err := os.Stat("/" + dir); err != nil {
			continue // this host has none
		}
		if err := bindReadOnly("/"+dir, filepath.Join(root, dir)); err != nil {
			return err
		}
	}
	return nil
}

func imagePrograms(root string, m Machine) error {
	for at, dir := range m.images() {
		if err := bindReadOnly(dir, filepath.Join(root, programs, fmt.Sprint(at))); err != nil {
			return err
		}
	}
	return nil
}

func devices(root string) error {
	if err := unix.Mount("proc", filepath.Join(root, "proc"), "proc", 0, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	for _, dir := range []string{"dev", "sys"} {
		if err := unix.Mount("/"+dir, filepath.Join(root, dir), "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return fmt.Errorf("mount /%s: %w", dir, err)
		}
	}
	return nil
}

// settings are the files that an installer writes. Names are resolved by the rack controller alone.
func settings(root string, m Machine) error {
	var errs []error
	for name, content := range map[string]string{
		"hosts":         "127.0.0.1 localhost\n" + m.Address.String() + " " + m.Hostname + "\n",
		"hostname":      m.Hostname + "\n",
		"resolv.conf":   "nameserver " + world.Rack.String() + "\n",
		"nsswitch.conf": "hosts: files dns\n",
		"passwd":        "root:x:0:0:root:/root:/bin/sh\n",
		"group":         "root:x:0:\n",
		"os-release":    "NAME=sandbox\nPRETTY_NAME=\"Sandbox with Kubernetes " + m.Version + "\"\n",
	} {
		errs = append(errs, os.WriteFile(filepath.Join(root, "etc", name), []byte(content), 0o644))
	}
	return errors.Join(errs...)
}

func bind(from, to string) error {
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(from, to, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("bind %s: %w", from, err)
	}
	return nil
}

func bindReadOnly(from, to string) error {
	if err := bind(from, to); err != nil {
		return err
	}
	if err := unix.Mount("", to, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""); err != nil {
		return fmt.Errorf("make %s read-only: %w", to, err)
	}
	return nil
}

// runtimeSocket is where containerd listens on a machine that has one. The commands of released templates wait for it.
const runtimeSocket = "/run/containerd/containerd.sock"

// leaveSocket leaves a socket in the container runtime's place, on which nobody listens.
func leaveSocket() error {
	if err := os.MkdirAll(filepath.Dir(runtimeSocket), 0o755); err != nil {
		return fmt.Errorf("leave a socket: %w", err)
	}
	socket, err := net.ListenUnix("unix", &net.UnixAddr{Name: runtimeSocket, Net: "unix"})
	if err != nil {
		return fmt.Errorf("leave a socket: %w", err)
	}
	socket.SetUnlinkOnClose(false)
	return socket.Close()
}

func pivot(root string) error {
	if err := os.Chdir(root); err != nil {
		return fmt.Errorf("enter the root: %w", err)
	}
	if err := unix.PivotRoot(".", "."); err != nil { // the old root is then mounted over the new one
		return fmt.Errorf("change the root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("leave the old root: %w", err)
	}
	return os.Chdir("/")
}

// dangerous is what root in a machine must not do, for it would reach the host: mounting and swapping, modules, the clock,
// devices, rebooting.
var dangerous = []uintptr{
	unix.CAP_SYS_ADMIN, unix.CAP_SYS_MODULE, unix.CAP_SYS_RAWIO, unix.CAP_SYS_TIME, unix.CAP_SYS_BOOT, unix.CAP_MKNOD, unix.CAP_SYSLOG,
}

// dropPrivileges keeps what is dangerous from every program that is started from now on.
func dropPrivileges() error {
	for _, capability := range dangerous {
		if _, _, errno := syscall.AllThreadsSyscall(unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, capability, 0); errno != 0 {
			return fmt.Errorf("drop capability %d: %w", capability, errno)
		}
	}
	return nil
}
