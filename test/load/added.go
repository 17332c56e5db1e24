package load

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/capmaas/capmaas/services/maassim"
)

// Added is how long machines take that are made at once.
type Added struct {
	// Machines is how many there are.
	Machines int
	// Alone is MAAS's own time: each VM is composed, claimed and deployed as soon as the limits of protocol rule 7.5 let it,
	// and nothing else is asked. Provided is from making the objects until the last one is provisioned.
	Alone, Provided time.Duration
}

// Share is by how much the second is longer than the first.
func (a Added) Share() float64 { return float64(a.Provided-a.Alone) / float64(a.Alone) }

// MeasureAdded makes the machines of a fleet, and at the same time as many with MAAS alone, in a MAAS of the same kind.
func MeasureAdded(ctx context.Context, o Options) (added Added, err error) {
	added.Machines = o.Machines
	fleet, err := Start(ctx, o)
	defer func() { err = errors.Join(err, fleet.Close()) }()
	if err != nil {
		return added, err
	}
	var both sync.WaitGroup
	var aloneErr error
	both.Go(func() { added.Alone, aloneErr = alone(ctx, o) })
	began := now()
	names, err := fleet.Create(ctx, o.Machines)
	if err == nil {
		err = fleet.AwaitReady(ctx, names)
	}
	added.Provided = fleet.simulated(time.Since(began))
	both.Wait()
	return added, errors.Join(err, aloneErr)
}

// alone makes VMs with MAAS's API and nothing else, and says how long that takes.
func alone(ctx context.Context, o Options) (time.Duration, error) {
	config := World(o.Machines, o.Speed)
	sim, err := maassim.New(config)
	if err != nil {
		return 0, fmt.Errorf("make the simulated MAAS: %w", err)
	}
	server := httptest.NewServer(sim)
	defer server.Close()
	defer sim.Close()
	by := bare{
		sim: sim, url: server.URL + "/MAAS/api/2.0/", long: make(chan struct{}, longAtOnce), short: make(chan struct{}, shortAtOnce),
		hosts: make([]chan struct{}, len(config.Hosts)),
	}
	for i := range by.hosts {
		by.hosts[i] = make(chan struct{}, hostAtOnce)
	}
	began := now()
	errs := make([]error, o.Machines)
	var all sync.WaitGroup
	for i := range o.Machines {
		all.Go(func() { errs[i] = by.makeOne(ctx, fmt.Sprintf("vm-%d", i), i%len(by.hosts)) })
	}
	all.Wait()
	return time.Duration(float64(time.Since(began)) * o.Speed), errors.Join(errs...)
}

// bare asks MAAS without any provisioner.
type bare struct {
	sim         *maassim.Sim
	url         string
	long, short chan struct{}
	hosts       []chan struct{}
}

// makeOne takes a VM as far as Deployed, which it sees without asking MAAS.
func (b bare) makeOne(ctx context.Context, name string, host int) error {
	b.hosts[host] <- struct{}{}
	var made struct {
		SystemID string `json:"system_id"`
	}
	err := b.post(ctx, b.long, fmt.Sprintf("vm-hosts/%d/?op=compose", host+1), &made, url.Values{
		"hostname": {name}, "cores": {"2"}, "memory": {"4096"}, "storage": {"root:40"}, "skip_commissioning": {"true"},
	})
	<-b.hosts[host]
	if err != nil {
		return err
	}
	err = b.post(ctx, b.short, "machines/?op=allocate", nil, url.Values{"system_id": {made.SystemID}, "agent_name": {"bare/" + name}})
	if err != nil {
		return err
	}
	if err := b.post(ctx, b.long, "machines/"+made.SystemID+"/?op=deploy", nil, url.Values{"distro_series": {"jammy"}}); err != nil {
		return err
	}
	ticker := time.NewTicker(glance)
	defer ticker.Stop()
	for {
		if m, ok := b.sim.Machine(name); ok && m.Status == "deployed" {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", name, ctx.Err())
		case <-ticker.C:
		}
	}
}

// post asks MAAS once there is a slot, and reads its JSON where that is wanted.
func (b bare) post(ctx context.Context, slots chan struct{}, path string, into any, form url.Values) error {
	slots <- struct{}{}
	defer func() { <-slots }()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, b.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		return fmt.Errorf("ask for %s: %w", path, err)
	}
	at, key := now(), strings.Split(b.sim.APIKey(), ":")
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Authorization", fmt.Sprintf(`OAuth oauth_version="1.0", oauth_signature_method="PLAINTEXT", oauth_consumer_key="%s", `+
		`oauth_token="%s", oauth_signature="%%26%s", oauth_nonce="%d", oauth_timestamp="%d"`, key[0], key[1], key[2], at.UnixNano(), at.Unix()))
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("ask for %s: %w", path, err)
	}
	body, err := io.ReadAll(answer.Body)
	if err := errors.Join(err, answer.Body.Close()); err != nil {
		return fmt.Errorf("ask for %s: %w", path, err)
	}
	if answer.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("ask for %s: %s: %s", path, answer.Status, body)
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("ask for %s: %w", path, err)
	}
	return nil
}
