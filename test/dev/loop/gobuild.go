package loop

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// GoBuild gives the build of a package of main to a binary, with go build in a directory. What it builds takes the
// binary's place only where it differs: Go builds the same sources to the same bytes, so that a change elsewhere, or of a
// comment that moves no line, restarts nothing.
func GoBuild(dir, pkg, binary string) func(context.Context) (bool, error) {
	return func(ctx context.Context) (bool, error) {
		next := binary + ".next"
		cmd := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", next, pkg)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			return false, errors.Join(errors.New(strings.TrimSpace(string(out))), err)
		}
		differs, err := differ(binary, next)
		if err != nil || !differs {
			return false, errors.Join(err, os.Remove(next))
		}
		return true, os.Rename(next, binary)
	}
}

// differ says whether two files hold different bytes; one that is not there differs from any.
func differ(a, b string) (bool, error) {
	first, err := sum(a)
	if errors.Is(err, os.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	second, err := sum(b)
	return !bytes.Equal(first, second), err
}

func sum(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("compare what was built: %w", err)
	}
	defer func() { _ = file.Close() }() // it is only read
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		return nil, fmt.Errorf("compare what was built: %w", err)
	}
	return hash.Sum(nil), nil
}
