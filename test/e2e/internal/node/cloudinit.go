// Package node is what runs in a machine: it does with the user data what cloud-init does, and stands in for the kubelet. The
// containers of static pods run as processes; other pods are said to run.
package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/capmaas/capmaas/test/e2e/internal/cloudconfig"
)

// cloudInit fetches the user data, writes its files and runs its commands, whose output goes to a log.
func (k *kubelet) cloudInit(ctx context.Context) error {
	text, err := fetch(ctx, k.Metadata)
	if err != nil {
		return err
	}
	k.Log.Info("Fetched the user data", "bytes", len(text))
	config, err := cloudconfig.Parse(text, k.Hostname)
	if err != nil {
		return err
	}
	for _, f := range config.WriteFiles {
		if err := write(f, k.path(f.Path)); err != nil {
			return err
		}
	}
	commands, err := config.Commands()
	if err != nil {
		return err
	}
	return k.runCommands(ctx, commands)
}

func fetch(ctx context.Context, url string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("fetch the user data: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("fetch the user data: %s", response.Status)
	}
	return io.ReadAll(response.Body)
}

func write(f cloudconfig.File, at string) error {
	content, err := f.Bytes()
	if err != nil {
		return err
	}
	mode := os.FileMode(0o644)
	if f.Permissions != "" {
		bits, err := strconv.ParseUint(f.Permissions, 8, 9)
		if err != nil {
			return fmt.Errorf("permissions of %s: %w", f.Path, err)
		}
		mode = os.FileMode(bits)
	}
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		return err
	}
	flags := os.O_CREATE | os.O_WRONLY | os.O_TRUNC
	if f.Append {
		flags = os.O_CREATE | os.O_WRONLY | os.O_APPEND
	}
	out, err := os.OpenFile(at, flags, mode)
	if err != nil {
		return err
	}
	_, err = out.Write(content)
	return errors.Join(err, out.Close())
}

// runCommands runs the commands as one script, as cloud-init does: a command that fails stops none of those after it.
func (k *kubelet) runCommands(ctx context.Context, commands []string) error {
	script := k.path("run/runcmd.sh")
	if err := os.WriteFile(script, []byte(strings.Join(commands, "\n")+"\n"), 0o600); err != nil {
		return fmt.Errorf("write the commands: %w", err)
	}
	out, err := os.Create(k.path("var/log/cloud-init-output.log"))
	if err != nil {
		return err
	}
	defer func() { _ = out.Close() }()
	cmd := exec.CommandContext(ctx, "/bin/sh", "-x", script)
	cmd.Stdout, cmd.Stderr = out, out
	err = cmd.Run()
	k.Log.Info("Ran the commands", "commands", len(commands), "error", err)
	return nil
}
