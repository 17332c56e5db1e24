package loop_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/test/dev/loop"
	"github.com/capmaas/capmaas/test/process"
)

// untilSeen bounds the wait for a build of a small program on a busy machine.
const untilSeen = 2 * time.Minute

func TestLoop_builds_and_restarts_a_program_whose_source_changes(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	before := b.running()

	b.write("main.go", program("two"))
	b.await("two")
	b.awaitSaid("restarted echo")
	assert.NoError(t, b.running().Exited())
	select {
	case <-before.Done():
	default:
		t.Error("the old program still runs")
	}
}

func TestLoop_shows_what_does_not_compile_and_leaves_the_old_program_running(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	before := b.running()

	b.write("main.go", strings.Replace(program("two"), "func main", "funk main", 1))
	b.awaitSaid("echo does not build")
	b.awaitSaid("main.go:")
	b.awaitSaid("what ran before runs on")
	assert.Same(t, before, b.running())
	require.NoError(t, before.Exited())

	b.write("main.go", program("three"))
	b.await("three")
}

func TestLoop_restarts_nothing_where_the_program_is_the_same(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	before := b.running()

	b.write("other/other.go", "package other\n")
	b.awaitSaid("no program differs")
	assert.Same(t, before, b.running())
	assert.NoError(t, before.Exited())
}

func TestLoop_sees_sources_in_directories_that_came_later(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.write("late/late.go", "package late\n\nconst Text = \"two\"\n")
	b.awaitSaid("changed")
	b.write("main.go", strings.Replace(program(`" + late.Text + "`), "\"os\"\n", "\"os\"\n\n\t\"example.com/echo/late\"\n", 1))
	b.await("two")
	b.write("late/late.go", "package late\n\nconst Text = \"three\"\n")
	b.await("three")
}

func TestLoop_tries_again_after_a_program_that_ends_at_once(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.write("main.go", "package main\n\nimport \"os\"\n\nfunc main() { os.Exit(3) }\n")
	b.awaitSaid("exit status 3")
	b.write("main.go", program("two"))
	b.await("two")
}

// bed is a small program of its own under the loop.
type bed struct {
	t   *testing.T
	src string
	dir string

	mu      sync.Mutex
	said    strings.Builder
	process *process.Process
}

// newBed builds and starts the program, and then the loop; both have ended when the test has.
func newBed(t *testing.T) *bed {
	t.Helper()
	b := &bed{t: t, src: t.TempDir(), dir: t.TempDir()}
	b.write("go.mod", "module example.com/echo\n\ngo 1.26\n")
	b.write("main.go", program("one"))
	binary := filepath.Join(b.dir, "echo")
	build := loop.GoBuild(b.src, ".", binary)
	changed, err := build(t.Context())
	require.NoError(t, err)
	require.True(t, changed)
	require.NoError(t, b.restart(t.Context()))

	ctx, cancel := context.WithCancel(t.Context())
	l := &loop.Loop{
		Roots: []string{b.src}, Sayf: b.sayf,
		Programs: []loop.Program{{Name: "echo", Build: build, Restart: b.restart}},
	}
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		assert.NoError(t, <-ended)
		if b.running().Exited() == nil {
			assert.NoError(t, b.running().Stop())
		}
	})
	b.awaitSaid("watching")
	return b
}

// program is one that writes a word into the file that it is told, and runs until it is asked to end.
func program(word string) string {
	return fmt.Sprintf(`package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGTERM)
	if err := os.WriteFile(os.Args[1], []byte("%s"), 0o600); err != nil {
		panic(err)
	}
	<-asked
}
`, word)
}

func (b *bed) restart(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	word := filepath.Join(b.dir, "word")
	if b.process != nil && b.process.Exited() == nil {
		if err := b.process.Stop(); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(word); err != nil {
		return err
	}
	var err error
	b.process, err = process.Start(process.Spec{
		Name: "echo", Binary: filepath.Join(b.dir, "echo"), Args: []string{word}, Log: filepath.Join(b.dir, "echo.log"),
	})
	if err != nil {
		return err
	}
	return process.Await(ctx, "echo", untilSeen, b.process.Exited, func(context.Context) error {
		_, err := os.Stat(word)
		return err
	})
}

func (b *bed) running() *process.Process {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.process
}

func (b *bed) write(name, text string) {
	b.t.Helper()
	path := filepath.Join(b.src, name)
	require.NoError(b.t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(b.t, os.WriteFile(path, []byte(text), 0o600))
}

// await waits until the program that runs has written a word.
func (b *bed) await(word string) {
	b.t.Helper()
	require.EventuallyWithT(b.t, func(c *assert.CollectT) {
		text, err := os.ReadFile(filepath.Join(b.dir, "word"))
		require.NoError(c, err)
		assert.Equal(c, word, string(text))
	}, untilSeen, 20*time.Millisecond)
}

func (b *bed) sayf(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	fmt.Fprintf(&b.said, format+"\n", args...)
}

func (b *bed) awaitSaid(text string) {
	b.t.Helper()
	require.EventuallyWithT(b.t, func(c *assert.CollectT) {
		b.mu.Lock()
		defer b.mu.Unlock()
		assert.Contains(c, b.said.String(), text)
	}, untilSeen, 20*time.Millisecond)
}
