package faults

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
)

// ending is when a machine is deleted.
type ending int

const (
	afterTheRound ending = iota // it is there when the stack rests, and is deleted in the next round
	whenReady                   // as soon as it is ready
	inBetween                   // some time after it was made, whatever it is doing
)

// life is the plan of one MaasMachine.
type life struct {
	world        *world
	cluster      *cluster
	name         string
	metal        bool
	inherited    bool   // the existing provider has deployed it
	systemID     string // of an inherited machine, as is the provider ID
	providerID   string
	controlPlane bool
	address      string // static; empty for any
	born         time.Duration
	ending       ending
	deleted      time.Duration // from its birth, where the ending is in between
	edited       bool
	paused       bool
	begun        bool // it was made in an earlier round
}

const (
	// mostMetal is how many physical machines may be asked for in a round; alice gets some too.
	mostMetal = 4
	// birthSpan is over which time the machines of a round are made.
	birthSpan = 4 * time.Second
	// shortLife bounds how long a machine lives that is deleted in between.
	shortLife = 2 * time.Second
	// laterLife is how many times as long a machine that is there when a round begins lives on in it: meanwhile it is switched off.
	laterLife = 4
	// firstFixed and fixedBlocks are which and how many blocks of 10.10.0.0/16 the fixed addresses are of, a block a round.
	firstFixed, fixedBlocks = 100, 50
	// pausedFor bounds how long a machine is paused.
	pausedFor = 700 * time.Millisecond
)

// plan makes the lives of one round; they depend on the seed alone.
func (w *world) plan(round, count int) []*life {
	var all []*life
	metal := 0
	for n := range count {
		l := &life{
			world: w, cluster: w.clusters[w.rng.IntN(len(w.clusters))], name: fmt.Sprintf("%s-r%d-m%d", w.name, round, n),
			born: time.Duration(w.rng.Int64N(int64(birthSpan))), deleted: time.Duration(w.rng.Int64N(int64(shortLife))),
			edited: w.rng.IntN(4) == 0, paused: w.rng.IntN(8) == 0, ending: ending(w.rng.IntN(3)),
		}
		switch kind := w.rng.IntN(10); {
		case kind < 2 && metal < mostMetal:
			l.metal, l.inherited = true, metal == 0
			metal++
		case kind < 5:
			l.controlPlane = true
		case kind == 5:
			l.address = fmt.Sprintf("10.10.%d.%d", firstFixed+round%fixedBlocks, n+10)
		}
		all = append(all, l)
	}
	return all
}

// live leads machines through the round, and returns when all are where they are to be before the stack rests.
func (w *world) live(ctx context.Context, lives []*life) {
	var all sync.WaitGroup
	for _, l := range lives {
		all.Go(func() {
			if err := l.lead(ctx); err != nil {
				w.campaign.fail(fmt.Errorf("machine %s: %w", l.name, err))
			}
		})
	}
	all.Wait()
}

func (l *life) lead(ctx context.Context) error {
	if !l.begun {
		pause(ctx, l.born)
		if err := l.makeMachine(ctx); err != nil {
			return err
		}
		l.begun = true
		if l.ending == afterTheRound {
			return l.disturb(ctx)
		}
	}
	if err := l.disturb(ctx); err != nil {
		return err
	}
	if l.ending == whenReady {
		l.awaitReady(ctx)
	} else {
		pause(ctx, l.deleted)
	}
	m := &infrav1.MaasMachine{ObjectMeta: metav1.ObjectMeta{Namespace: l.world.namespace, Name: l.name}}
	return client.IgnoreNotFound(l.world.client.Delete(ctx, m))
}

// disturb edits the object and pauses it, as users do.
func (l *life) disturb(ctx context.Context) error {
	if l.edited {
		pause(ctx, l.deleted/2)
		if err := l.annotate(ctx, "example.org/note", "edited"); err != nil {
			return err
		}
	}
	if !l.paused {
		return nil
	}
	if err := l.annotate(ctx, clusterv1.PausedAnnotation, ""); err != nil {
		return err
	}
	pause(ctx, l.world.upTo(pausedFor))
	return l.annotate(ctx, clusterv1.PausedAnnotation, nil)
}

// longestAwait is how long the machine's readiness is waited for while everything is disturbed.
const longestAwait = 15 * time.Second

func (l *life) awaitReady(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, longestAwait)
	defer cancel()
	for ctx.Err() == nil {
		if here := l.state(ctx); here == ready || here == failed || here == gone {
			return
		}
		pause(ctx, glance)
	}
}

// state is where a machine stands.
type state string

const (
	under  state = "under way"
	ready  state = "ready"
	failed state = "failed for good" // before it was ever deployed: Cluster API's remediation deletes it
	lost   state = "lost"            // it was deployed, and is no more
	dying  state = "being deleted"
	gone   state = "gone"
)

// state looks at the object.
func (l *life) state(ctx context.Context) state {
	m := &infrav1.MaasMachine{}
	err := l.world.seen.Get(ctx, client.ObjectKey{Namespace: l.world.namespace, Name: l.name}, m)
	if apierrors.IsNotFound(err) {
		// What is seen may lag behind what was just made.
		err = l.world.client.Get(ctx, client.ObjectKey{Namespace: l.world.namespace, Name: l.name}, m)
	}
	switch {
	case apierrors.IsNotFound(err):
		return gone
	case err != nil:
		return under
	}
	return stateOf(m)
}

func stateOf(m *infrav1.MaasMachine) state {
	condition := func(name string) metav1.Condition {
		return ptr.Deref(meta.FindStatusCondition(m.Status.Conditions, name), metav1.Condition{})
	}
	deployed := condition(infrav1.MachineDeployedCondition)
	switch {
	case !m.DeletionTimestamp.IsZero():
		return dying
	case deployed.Reason == infrav1.VMMissingReason || deployed.Reason == infrav1.MachineTerminatedReason:
		return lost
	case deployed.Status == metav1.ConditionTrue && ptr.Deref(m.Status.Initialization.Provisioned, false):
		return ready
	case strings.Contains(deployed.Message, "delete the Machine to have"):
		return failed
	default:
		return under
	}
}
