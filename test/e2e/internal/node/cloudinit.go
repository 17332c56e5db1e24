// Package node is what runs in a machine: it does with the user data what cloud-init does, and stands in for the kubelet. The
// containers of static pods run as processes; other pods are said to run.
package node

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"sigs.k8s.io/yaml"
)

// cloudConfig is what is read of a cloud-config; other keys are named in the log.
type cloudConfig struct {
	WriteFiles []file `json:"write_files"`
	// RunCmd are lines of shell, or lists of arguments.
	RunCmd []any `json:"runcmd"`
}

type file struct {
	Path, Content, Permissions, Encoding string
	Append                               bool
}

// hostnameTemplate is what bootstrap providers write where a machine's own name belongs.
var hostnameTemplate = regexp.MustCompile(`\{\{\s*(v1\.local_hostname|ds\.meta_data\.local_hostname|ds\.meta_data\.hostname)\s*\}\}`)

// cloudInit fetches the user data, writes its files and runs its commands, whose output goes to a log.
func (k *kubelet) cloudInit(ctx context.Context) error {
	text, err := fetch(ctx, k.Metadata)
	if err != nil {
		return err
	}
	k.Log.Info("Fetched the user data", "bytes", len(text))
	config, err := parse(text, k.Hostname)
	if err != nil {
		return err
	}
	for _, f := range config.WriteFiles {
		if err := f.write(k.path(f.Path)); err != nil {
			return err
		}
	}
	return k.runCommands(ctx, config.RunCmd)
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

func parse(text []byte, hostname string) (cloudConfig, error) {
	var config cloudConfig
	if !bytes.Contains(text, []byte("#cloud-config")) {
		return config, errors.New("the user data are no cloud-config")
	}
	if bytes.Contains(text, []byte("## template: jinja")) {
		text = hostnameTemplate.ReplaceAll(text, []byte(hostname))
	}
	if err := yaml.Unmarshal(text, &config); err != nil {
		return config, fmt.Errorf("read the user data: %w", err)
	}
	return config, nil
}

func (f file) write(at string) error {
	content, err := decode(f.Encoding, []byte(f.Content))
	if err != nil {
		return fmt.Errorf("decode %s: %w", f.Path, err)
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

// decode undoes what write_files allows: base64 and gzip, in this order.
func decode(encoding string, content []byte) ([]byte, error) {
	for _, step := range strings.FieldsFunc(encoding, func(r rune) bool { return r == '+' }) {
		switch step {
		case "base64", "b64":
			decoded, err := base64.StdEncoding.AppendDecode(nil, bytes.TrimSpace(content))
			if err != nil {
				return nil, err
			}
			content = decoded
		}
	}
	if strings.Contains(encoding, "gz") {
		reader, err := gzip.NewReader(bytes.NewReader(content))
		if err != nil {
			return nil, err
		}
		return io.ReadAll(reader)
	}
	return content, nil
}

// runCommands runs the commands as one script, as cloud-init does: a command that fails stops none of those after it.
func (k *kubelet) runCommands(ctx context.Context, commands []any) error {
	var lines []string
	for _, command := range commands {
		line, err := shell(command)
		if err != nil {
			return err
		}
		lines = append(lines, line)
	}
	script := k.path("run/runcmd.sh")
	if err := os.WriteFile(script, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
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
	k.Log.Info("Ran the commands", "commands", len(lines), "error", err)
	return nil
}

func shell(command any) (string, error) {
	switch c := command.(type) {
	case string:
		return c, nil
	case []any:
		words := make([]string, 0, len(c))
		for _, word := range c {
			words = append(words, "'"+strings.ReplaceAll(fmt.Sprint(word), "'", `'\''`)+"'")
		}
		return strings.Join(words, " "), nil
	}
	return "", fmt.Errorf("a command is neither text nor a list: %v", command)
}
