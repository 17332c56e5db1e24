package command

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/capmaas/capmaas/cmd/maaslxd/internal/cluster"
	"github.com/capmaas/capmaas/cmd/maaslxd/internal/output"
	"github.com/capmaas/capmaas/cmd/maaslxd/internal/service"
)

// ErrFound ends a command that has written what is wrong: there is no more to say.
var ErrFound = errors.New("something is wrong")

// Invocation is what a process gives the command.
type Invocation struct {
	// Program is the path by which it was called, Args what follows.
	Program string
	Args    []string
	In      io.Reader
	Out     io.Writer
	Err     io.Writer
	// Terminal and ErrorTerminal say whether Out and Err are terminals.
	Terminal, ErrorTerminal bool
	// Version is the command's.
	Version string
	Getenv  func(string) string
	Clock   func() time.Time
}

// session is what the commands of one call share.
type session struct {
	Invocation

	service  service.Options
	cluster  cluster.Options
	format   output.Format
	progress *output.Progress
	// begun says that a command runs: what goes wrong before is said of the command line.
	begun bool
}

func newSession(in Invocation) *session {
	return &session{
		Invocation: in, format: output.Table,
		progress: &output.Progress{Out: in.Err, Terminal: in.ErrorTerminal},
	}
}

// style says what can be shown on a stream.
func (s *session) style(terminal bool) output.Style {
	locale := strings.ToUpper(s.Getenv("LC_ALL") + s.Getenv("LC_CTYPE") + s.Getenv("LANG"))
	return output.Style{
		Colour:  terminal && s.Getenv("NO_COLOR") == "" && s.Getenv("TERM") != "dumb",
		Unicode: terminal && strings.Contains(strings.ReplaceAll(locale, "-", ""), "UTF8"),
		Now:     s.Clock(),
	}
}

// print writes what was found in the format that was asked for.
func (s *session) print(result output.Result) error {
	s.progress.Clear()
	return output.Printer{Out: s.Out, Format: s.format, Style: s.style(s.Terminal)}.Print(result)
}

// connect reaches the service; call the second value when done.
func (s *session) connect(ctx context.Context) (*service.Client, func(), error) {
	s.progress.Stepf("Reaching the service")
	defer s.progress.Clear()
	var through service.Cluster
	access, err := s.access()
	switch {
	case err == nil:
		through = access
	case !errors.Is(err, cluster.ErrNone) && s.service.Address == "":
		return nil, nil, err
	}
	c, err := service.Connect(ctx, &s.service, through)
	if err != nil {
		return nil, nil, err
	}
	return c, func() { _ = c.Close() }, nil // the process ends; nobody could act on it
}

// access finds the management cluster.
func (s *session) access() (*cluster.Access, error) { return cluster.Load(s.cluster) }
