package maas

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// maxKey is more than any MAAS API key is long; a longer file is not a key.
const maxKey = 1024

// Credentials gives the MAAS API key, "consumer:token:secret". It is asked before each request and
// must be safe for concurrent use.
type Credentials func() (string, error)

// StaticKey gives always the same key.
func StaticKey(key string) Credentials {
	return func() (string, error) { return key, nil }
}

// KeyFile reads the key from a file each time, so that a mounted secret can be rotated without a
// restart. White space around the key is ignored.
func KeyFile(path string) Credentials {
	return func() (string, error) {
		info, err := os.Stat(path)
		if err != nil {
			return "", fmt.Errorf("read the file: %w", err)
		}
		if info.Size() > maxKey {
			return "", fmt.Errorf("%s holds %d bytes: that is no API key", path, info.Size())
		}
		content, err := os.ReadFile(path) //nolint:gosec // the operator names the file
		if err != nil {
			return "", fmt.Errorf("read the file: %w", err)
		}
		return strings.TrimSpace(string(content)), nil
	}
}

// checkKey checks the form of a key. The error doesn't say what was found, since that may be most of a secret.
func checkKey(key string) error {
	parts := strings.Split(key, ":")
	bad := len(parts) != 3 || len(key) > maxKey
	for _, p := range parts {
		bad = bad || p == "" || strings.ContainsFunc(p, func(r rune) bool { return r <= ' ' || r > '~' })
	}
	if bad {
		return errors.New("the MAAS API key must have three parts, consumer:token:secret, as MAAS shows it under API keys")
	}
	return nil
}
