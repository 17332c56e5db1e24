// Package cloudconfig reads the user data that a bootstrap provider writes for cloud-init.
package cloudconfig

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"sigs.k8s.io/yaml"
)

// Config is what is read of a cloud-config; other keys are left out.
type Config struct {
	WriteFiles []File `json:"write_files"`
	// RunCmd are lines of shell, or lists of arguments.
	RunCmd []any `json:"runcmd"`
}

// File is a file that is to be written.
type File struct {
	Path, Content, Permissions, Encoding string
	Append                               bool
}

// hostnameTemplate is what bootstrap providers write where a machine's own name belongs.
var hostnameTemplate = regexp.MustCompile(`\{\{\s*(v1\.local_hostname|ds\.meta_data\.local_hostname|ds\.meta_data\.hostname)\s*\}\}`)

// Parse reads user data, with the machine's hostname in the place of its template. It fails where they are no cloud-config.
func Parse(text []byte, hostname string) (Config, error) {
	var config Config
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

// Bytes is what the file is to hold: base64 and gzip are undone, in this order.
func (f File) Bytes() ([]byte, error) {
	content := []byte(f.Content)
	for step := range strings.SplitSeq(f.Encoding, "+") {
		if step != "base64" && step != "b64" {
			continue
		}
		decoded, err := base64.StdEncoding.AppendDecode(nil, bytes.TrimSpace(content))
		if err != nil {
			return nil, fmt.Errorf("decode %s: %w", f.Path, err)
		}
		content = decoded
	}
	if !strings.Contains(f.Encoding, "gz") {
		return content, nil
	}
	reader, err := gzip.NewReader(bytes.NewReader(content))
	if err == nil {
		content, err = io.ReadAll(reader)
	}
	if err != nil {
		return nil, fmt.Errorf("decode %s: %w", f.Path, err)
	}
	return content, nil
}

// Commands are the commands as lines of shell.
func (c Config) Commands() ([]string, error) {
	var lines []string
	for _, command := range c.RunCmd {
		line, err := shell(command)
		if err != nil {
			return nil, err
		}
		lines = append(lines, line)
	}
	return lines, nil
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
