package scenario

import "github.com/capmaas/capmaas/test/e2e/internal/relay"

// Behind is a run of which there is nothing but the way to MAAS.
func Behind(door *relay.Relay, config Config) *Run { return &Run{Config: config, door: door} }
