package loop

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

// watcher tells of changes of Go sources in directories and all below them, those too that come later.
type watcher struct {
	notify *fsnotify.Watcher
}

func watch(roots []string) (*watcher, error) {
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watch the sources: %w", err)
	}
	w := &watcher{notify: notify}
	for _, root := range roots {
		if err := w.add(root); err != nil {
			return nil, errors.Join(err, notify.Close())
		}
	}
	return w, nil
}

// add watches a directory and all below it.
func (w *watcher) add(root string) error {
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, os.ErrNotExist) && path != root:
			return nil // it went while we walked
		case err != nil:
			return err
		case !entry.IsDir():
			return nil
		case path != root && (entry.Name() == "testdata" || strings.HasPrefix(entry.Name(), ".")):
			return fs.SkipDir
		}
		return w.notify.Add(path)
	})
	if err != nil {
		return fmt.Errorf("watch %s: %w", root, err)
	}
	return nil
}

// await waits for a change and then until nothing has changed for a while. It gives the file that changed first.
func (w *watcher) await(ctx context.Context, quiet time.Duration) (first string, err error) {
	var settled <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return "", context.Cause(ctx)
		case <-settled:
			return first, nil
		case err := <-w.notify.Errors:
			return "", fmt.Errorf("watch the sources: %w", err)
		case event := <-w.notify.Events:
			if event.Has(fsnotify.Create) && isDir(event.Name) {
				// What was written into it before it was watched is seen by the build that its own coming brings about.
				if err := w.add(event.Name); err != nil {
					return "", err
				}
			} else if !source(event) {
				continue
			}
			if first == "" {
				first = event.Name
			}
			settled = time.After(quiet)
		}
	}
}

func (w *watcher) size() int { return len(w.notify.WatchList()) }

func (w *watcher) close() error { return w.notify.Close() }

// source says whether the event can change what is built: its content, not its mode, and not that of a test.
func source(event fsnotify.Event) bool {
	if event.Op == fsnotify.Chmod {
		return false
	}
	name := filepath.Base(event.Name)
	switch {
	case strings.HasPrefix(name, ".") || strings.HasSuffix(name, "_test.go"):
		return false
	case name == "go.mod" || name == "go.sum":
		return true
	default:
		return filepath.Ext(name) == ".go"
	}
}

func isDir(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.IsDir()
}
