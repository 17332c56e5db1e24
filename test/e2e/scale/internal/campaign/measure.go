package campaign

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// reading is what the counters show.
type reading struct {
	at        time.Time
	requests  map[string]Requests
	lists     map[string]int
	queued    int
	processes map[string]Process
}

// read reads the counters.
func (c *Campaign) read() (reading, error) {
	r := reading{at: c.Now(), requests: make(map[string]Requests), processes: make(map[string]Process)}
	load := c.MAAS.Load()
	r.queued, r.lists = load.MostQueued, c.MAAS.Lists()
	for operation, count := range c.MAAS.Requests() {
		r.requests[operation] = Requests{Count: count, Region: load.Operations[operation].Region}
	}
	for _, p := range c.Processes() {
		cpu, cpuErr := p.CPU()
		peak, peakErr := p.Peak()
		if err := errors.Join(cpuErr, peakErr); err != nil {
			return r, err
		}
		r.processes[p.Name()] = Process{CPU: cpu, Peak: peak}
	}
	var err error
	r.processes[self], err = own()
	return r, err
}

// self is the name under which this program's own use is counted.
const self = "in-memory clusters and simulated MAAS"

// own is what this program has used.
func own() (Process, error) {
	var used unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &used); err != nil {
		return Process{}, fmt.Errorf("read what this program has used: %w", err)
	}
	return Process{CPU: time.Duration(used.Utime.Nano() + used.Stime.Nano()), Peak: used.Maxrss << 10}, nil
}

// between is a phase from one reading to another. What MAAS's region counts begins anew with each phase.
func (c *Campaign) between(before, after reading) Phase {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := Phase{
		Time: after.at.Sub(before.at), VMs: spreadOf(c.vms), Metal: spreadOf(c.metal), Gone: spreadOf(c.gone), MostQueued: after.queued, Queues: c.queues,
		Lists: make(map[string]int), Operations: make(map[string]Requests), Processes: make(map[string]Process),
	}
	for operation, now := range after.requests {
		if count := now.Count - before.requests[operation].Count; count > 0 {
			p.Operations[operation] = Requests{Count: count, Region: now.Region}
		}
	}
	for filters, count := range after.lists {
		if more := count - before.lists[filters]; more > 0 {
			p.Lists[filters] = more
		}
	}
	p.Made, p.Removed = c.made, len(c.gone)
	for name, now := range after.processes {
		p.Processes[name] = Process{CPU: now.CPU - before.processes[name].CPU, Peak: now.Peak}
	}
	return p
}

// queue is a line of a manager's metrics that tells how many objects of one priority wait for a worker.
var queue = regexp.MustCompile(`^workqueue_depth\{.*?(?:controller|name)="([^"]+)".*\} ([0-9.e+]+)$`)

const (
	// looks is how often queues are read, telling after how many of them it is told what goes on.
	looks   = 5 * time.Second
	telling = 6
)

// watchQueues keeps the longest queues, and tells what the machines are doing, until the context ends.
func (c *Campaign) watchQueues(ctx context.Context, phase string) {
	ticker := time.NewTicker(looks)
	defer ticker.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		for manager, url := range c.MetricsURLs() {
			if err := c.sampleQueues(ctx, manager, url); err != nil && ctx.Err() == nil {
				c.Sayf("reading the queues of %s: %v", manager, err)
			}
		}
		if n%telling == 0 {
			load := c.MAAS.Load()
			c.Sayf("%s: %d machines on; MAAS serves %d and lets %d wait; MaasMachines %v", phase, c.Bodies(), load.Serving, load.Waiting, c.watcher.doing())
		}
	}
}

// sampleQueues keeps the queues of a manager that are longer than those seen before.
func (c *Campaign) sampleQueues(ctx context.Context, manager, url string) error {
	depths, err := queuesAt(ctx, url)
	c.mu.Lock()
	defer c.mu.Unlock()
	for controller, depth := range depths {
		name := manager + " " + controller
		c.queues[name] = max(c.queues[name], depth)
	}
	return err
}

// queuesAt reads how many objects wait before each controller, whatever their priority.
func queuesAt(ctx context.Context, url string) (map[string]int, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s", url, response.Status)
	}
	depths := make(map[string]int)
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		found := queue.FindStringSubmatch(lines.Text())
		if found == nil {
			continue
		}
		depth, err := strconv.ParseFloat(found[2], 64)
		if err != nil {
			return nil, err
		}
		depths[found[1]] += int(depth)
	}
	return depths, lines.Err()
}
