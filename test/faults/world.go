package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
	"github.com/capmaas/capmaas/services/maassim"
	"github.com/capmaas/capmaas/test/scheme"
	"github.com/capmaas/capmaas/test/stack"
)

// world is one stack: a MAAS, replicas of the service, managers, and a namespace of the shared API server.
type world struct {
	campaign   *Campaign
	name       string
	namespace  string
	dir        string
	client     client.Client
	seen       client.Reader // what the API server had a moment ago
	sim        *maassim.Sim
	operations stack.Operations
	replicas   []*replica
	seats      []*seat
	alice      *alice
	rng        *rand.Rand // for the plan of the rounds: never for what depends on when something happens
	clusters   []*cluster
	revival    sync.WaitGroup
	stop       context.CancelFunc

	mu     sync.Mutex
	chance *rand.Rand // for what depends on when something happens
	mood   mood
	deaths int    // in this world
	wait   string // what the comparison waits for
	// recordsAsked is when a process of the service last asked MAAS about DNS records.
	recordsAsked time.Time
	stories      []string
}

// newWorld starts a stack; every second world has two replicas and two managers.
func newWorld(ctx context.Context, c *Campaign, number int) (*world, error) {
	seed := c.options.Seed + uint64(number)*1000
	cfg := maassim.DefaultConfig(9, 3, 10)
	cfg.Seed = seed
	// An operator who gives machines fixed addresses keeps MAAS from giving the same to others.
	cfg.Subnets[0].ReservedRanges = []maassim.Range{{Start: fmt.Sprintf("10.10.%d.0", firstFixed), End: fmt.Sprintf("10.10.%d.255", firstFixed+fixedBlocks-1)}}
	cfg.Durations = maassim.Durations{
		Spread: 0.5, Compose: 30 * time.Millisecond, Refresh: 10 * time.Millisecond, Delete: 10 * time.Millisecond,
		Commission: 50 * time.Millisecond, Deploy: 100 * time.Millisecond, Release: 30 * time.Millisecond, Test: 300 * time.Millisecond,
	}
	sim, err := maassim.New(cfg)
	if err != nil {
		return nil, fmt.Errorf("make the simulated MAAS: %w", err)
	}
	dir, err := os.MkdirTemp(c.dir, "world-")
	if err != nil {
		return nil, fmt.Errorf("make a directory: %w", err)
	}
	ctx, stop := context.WithCancel(ctx)
	w := &world{
		campaign: c, name: fmt.Sprintf("w%d", number), dir: dir, sim: sim, operations: sim.Catalogue(), stop: stop,
		rng: rand.New(rand.NewPCG(seed, 2)), chance: rand.New(rand.NewPCG(seed, 3)),
	}
	w.alice = &alice{world: w, rng: rand.New(rand.NewPCG(seed, 4)), held: map[string]bool{}}
	if w.client, err = client.New(c.config, client.Options{Scheme: scheme.New()}); err != nil {
		return nil, fmt.Errorf("connect to the API server: %w", err)
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "faults-" + w.name + "-"}}
	if err := w.client.Create(ctx, namespace); err != nil {
		return nil, fmt.Errorf("make a namespace: %w", err)
	}
	w.namespace = namespace.Name
	if err := w.watch(ctx); err != nil {
		return nil, err
	}
	return w, w.startAll(ctx, 1+number%2)
}

// watch keeps a copy of the MaasMachines and MaasClusters, so that waiting for them costs the API server nothing.
func (w *world) watch(ctx context.Context) error {
	objects, err := cache.New(w.campaign.config, cache.Options{
		Scheme: scheme.New(), DefaultNamespaces: map[string]cache.Config{w.namespace: {}},
	})
	if err != nil {
		return fmt.Errorf("watch the API server: %w", err)
	}
	for _, kind := range []client.Object{&infrav1.MaasMachine{}, &infrav1.MaasCluster{}} {
		if _, err := objects.GetInformer(ctx, kind); err != nil {
			return fmt.Errorf("watch %T: %w", kind, err)
		}
	}
	go func() { _ = objects.Start(ctx) }()
	if !objects.WaitForCacheSync(ctx) {
		return fmt.Errorf("watch MaasMachines: %w", ctx.Err())
	}
	w.seen = objects
	return nil
}

func (w *world) startAll(ctx context.Context, copies int) error {
	for range copies {
		gate, err := newRPCGate(ctx, w)
		if err != nil {
			return err
		}
		w.replicas = append(w.replicas, &replica{world: w, gate: gate})
		w.seats = append(w.seats, &seat{world: w})
	}
	for _, r := range w.replicas {
		if err := r.start(); err != nil {
			return err
		}
	}
	for _, s := range w.seats {
		if err := s.start(); err != nil {
			return err
		}
	}
	return nil
}

// target names all replicas.
func (w *world) target() string {
	var addresses []string
	for _, r := range w.replicas {
		addresses = append(addresses, r.gate.address())
	}
	return replicaScheme + ":///" + strings.Join(addresses, ",")
}

func splitList(text string) []string { return strings.Split(text, ",") }

// theirs are the operations that others ask of MAAS past the gates, and that the service need not ask.
var theirs = []string{"machines." + opTest, "machines." + opPowerOff, "machines." + opPowerState}

// close ends the stack for good.
func (w *world) close() {
	w.be(peaceful)
	w.revival.Wait()
	for _, s := range w.seats {
		s.kill()
	}
	for _, r := range w.replicas {
		r.kill()
		r.gate.close()
	}
	w.stop()
	w.sim.Close()
	for operation := range w.sim.Requests() {
		if !slices.Contains(theirs, operation) && !w.campaign.boundaries.knows(operation) {
			w.campaign.fail(fmt.Errorf("MAAS was asked for %s past the gate, or the gate does not know it", operation))
		}
	}
}

// mood is how much is disturbed.
type mood int

const (
	peaceful  mood = iota // nothing is
	resting               // processes die where none ever died before, and nothing else happens
	disturbed             // everything is
)

// be sets the mood.
func (w *world) be(m mood) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mood = m
}

func (w *world) is(m mood) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.mood == m
}

// chanceOfDeath is the probability of a death at a boundary at which somebody died before.
func (w *world) chanceOfDeath() float64 {
	if w.is(disturbed) {
		return killChance
	}
	return 0
}

// waitsFor notes what the comparison waits for, and says whether that is something else than before, or somebody has died.
func (w *world) waitsFor(wrong []violation, deaths int) (moved bool, died int) {
	var all strings.Builder
	for _, v := range wrong {
		fmt.Fprintln(&all, v.kind, v.object, v.what)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	moved = all.String() != w.wait || w.deaths != deaths
	w.wait = all.String()
	return moved, w.deaths
}

// waiting is what the comparison waits for, in short; empty where nothing is waited for.
func (w *world) waiting() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	first, _, _ := strings.Cut(w.wait, "\n")
	return first
}

// roll gives true with a probability; for decisions that depend on when they are made.
func (w *world) roll(chance float64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.chance.Float64() < chance
}

// upTo gives a duration below most.
func (w *world) upTo(most time.Duration) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Duration(w.chance.Int64N(int64(most)))
}

// remembered is how many of the last disturbances are told with a violation.
const remembered = 60

// storyf notes a disturbance.
func (w *world) storyf(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stories = append(w.stories, now().Format("15:04:05.000 ")+fmt.Sprintf(format, args...))
	if len(w.stories) > remembered {
		w.stories = w.stories[len(w.stories)-remembered:]
	}
}

func (w *world) lastStories() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.stories, "\n    ")
}
