package scenario

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/capmaas/capmaas/test/e2e/internal/management"
)

const (
	// firstGap is the time before each death of the first turn, so that the shortest scenario meets all of them; gap that before each
	// later one, so that things go on between.
	firstGap = 3 * time.Second
	gap      = 20 * time.Second
	// away is for how long MAAS is away at least, and mostAway at most while nobody asks it.
	away     = 5 * time.Second
	mostAway = time.Minute
	// maas is MAAS among the mortals.
	maas = "MAAS"
)

// mortals die by turns: the service's replicas, MAAS and our manager.
var mortals = []string{"lxdprovisioner-0", maas, "lxdprovisioner-1", "manager"}

// disturbance lets our processes and MAAS die while a scenario goes on.
type disturbance struct {
	stop  context.CancelFunc
	fail  context.CancelCauseFunc
	ended chan error
	// deaths are how often each has died, and somebody noticed; valid once ended has its error.
	deaths map[string]int
}

// Tell tells a scenario. One that is disturbed goes on while the service's replicas, our manager and MAAS die by turns; it fails where one
// of them did not.
func (r *Run) Tell(ctx context.Context, tell func(*Run, context.Context) error, disturbed bool) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if disturbed {
		r.disturb(ctx, cancel)
	}
	err := tell(r, ctx)
	if undisturbed := r.calm(); err == nil {
		err = undisturbed
	}
	return err
}

func (r *Run) disturb(ctx context.Context, fail context.CancelCauseFunc) {
	ctx, stop := context.WithCancel(ctx)
	d := &disturbance{stop: stop, fail: fail, ended: make(chan error, 1), deaths: make(map[string]int)}
	r.disturbed = d
	go func() {
		err := r.killByTurns(ctx, d.deaths)
		if err != nil {
			fail(err)
		}
		d.ended <- err
	}()
}

// calm ends the disturbance, if there is one, and wants everyone to have died.
func (r *Run) calm() error {
	d := r.disturbed
	if d == nil {
		return nil
	}
	r.disturbed = nil
	d.stop()
	if err := <-d.ended; err != nil {
		return err
	}
	r.Timeline.Sayf("died meanwhile: %v", d.deaths)
	for _, mortal := range mortals {
		if d.deaths[mortal] == 0 {
			return fmt.Errorf("the scenario was over before %s died, or before anyone noticed it", mortal)
		}
	}
	return nil
}

// disturbAnew wants everyone to have died so far, and lets them die again in what follows.
func (r *Run) disturbAnew(ctx context.Context) error {
	d := r.disturbed
	if d == nil {
		return nil
	}
	if err := r.calm(); err != nil {
		return err
	}
	r.disturb(ctx, d.fail)
	return nil
}

// killByTurns lets one after the other die until the context ends.
func (r *Run) killByTurns(ctx context.Context, deaths map[string]int) error {
	for turn := 0; ; turn++ {
		wait := gap
		if turn < len(mortals) {
			wait = firstGap
		}
		if !pass(ctx, wait) {
			return nil
		}
		mortal := mortals[turn%len(mortals)]
		if mortal == maas {
			if r.loseMAAS(ctx) {
				deaths[mortal]++
			}
			continue
		}
		if err := r.kill(mortal); err != nil {
			return fmt.Errorf("kill %s: %w", mortal, err)
		}
		deaths[mortal]++
	}
}

// kill lets a process die in every management cluster, and starts it again.
func (r *Run) kill(name string) error {
	clusters := r.clusters()
	if len(clusters) == 0 {
		return errors.New("no management cluster runs")
	}
	for _, c := range clusters {
		r.Timeline.Sayf("killing %s of %s", name, filepath.Base(c.Dir))
		if err := c.Kill(name); err != nil {
			return err
		}
	}
	return nil
}

// loseMAAS breaks every connection to MAAS and lets none through for a while. It says whether anybody noticed.
func (r *Run) loseMAAS(ctx context.Context) bool {
	r.Timeline.Sayf("MAAS dies")
	r.door.Cut()
	defer r.door.Mend()
	since := r.Now()
	for pass(ctx, away) && r.door.Felt() == 0 && r.Now().Sub(since) < mostAway {
		continue
	}
	felt := r.door.Felt()
	r.Timeline.Sayf("MAAS is there again; %d answers were lost or refused", felt)
	return felt > 0
}

// pass lets time pass, and reports whether the context has not ended meanwhile.
func pass(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// clusters are the management clusters whose parts are all started.
func (r *Run) clusters() []*management.Cluster {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.started)
}

// insist writes as a user does who tries again while a manager that admits the object does not answer.
func (r *Run) insist(ctx context.Context, write func(context.Context) error) error {
	var final error
	err := r.await(ctx, "admission", func(ctx context.Context) error {
		err := write(ctx)
		if apierrors.IsInternalError(err) {
			return err
		}
		final = err
		return nil
	})
	return errors.Join(err, final)
}
