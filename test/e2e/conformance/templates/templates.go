// Package templates makes the cluster templates that Cluster API's own specs want out of those that a release publishes.
package templates

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// flavors has a kustomization for each template, in a directory named after the file that it makes; what is named otherwise is a
// part of them.
//
//go:embed flavors
var flavors embed.FS

// Build makes the templates in dir, where nothing may be yet, with the kubectl given and the files of a release. It returns them in
// the order of their names.
func Build(ctx context.Context, kubectl, release, dir string) ([]string, error) {
	if err := os.CopyFS(dir, flavors); err != nil {
		return nil, fmt.Errorf("write the kustomizations: %w", err)
	}
	if err := os.CopyFS(filepath.Join(dir, "release"), os.DirFS(release)); err != nil {
		return nil, fmt.Errorf("take the release's templates: %w", err)
	}
	out := filepath.Join(dir, "out")
	if err := os.Mkdir(out, 0o750); err != nil {
		return nil, err
	}
	kustomizations, err := fs.ReadDir(flavors, "flavors")
	if err != nil {
		return nil, err
	}
	var made []string
	for _, kustomization := range kustomizations {
		if !strings.HasPrefix(kustomization.Name(), "cluster") {
			continue
		}
		text, err := buildAll(ctx, kubectl, filepath.Join(dir, "flavors", kustomization.Name()))
		if err != nil {
			return nil, err
		}
		file := filepath.Join(out, kustomization.Name()+".yaml")
		if err := os.WriteFile(file, text, 0o600); err != nil {
			return nil, err
		}
		made = append(made, file)
	}
	if len(made) == 0 {
		return nil, errors.New("no kustomization makes a template")
	}
	return made, nil
}

// buildAll builds a kustomization, or those in the directories below it one after the other: a template may hold two versions of one
// object.
func buildAll(ctx context.Context, kubectl, dir string) ([]byte, error) {
	if _, err := os.Stat(filepath.Join(dir, "kustomization.yaml")); err == nil {
		return build(ctx, kubectl, dir)
	}
	steps, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var texts [][]byte
	for _, step := range steps {
		text, err := build(ctx, kubectl, filepath.Join(dir, step.Name()))
		if err != nil {
			return nil, err
		}
		texts = append(texts, text)
	}
	return bytes.Join(texts, []byte("---\n")), nil
}

func build(ctx context.Context, kubectl, kustomization string) ([]byte, error) {
	var said strings.Builder
	cmd := exec.CommandContext(ctx, kubectl, "kustomize", "--load-restrictor=LoadRestrictionsNone", kustomization)
	cmd.Stderr = &said
	text, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("build %s: %w: %s", filepath.Base(kustomization), err, said.String())
	}
	return text, nil
}
