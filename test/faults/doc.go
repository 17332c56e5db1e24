// Package faults is the campaign for the promise "exactly once, whatever dies": many MaasMachines are made, changed and
// deleted at random on a full stack in one process, while the service, the manager and the connection to the API server
// are cut off at every boundary between them, and MAAS loses, delays, repeats and fails its answers. Whenever the stack
// has come to rest, what LXD, MAAS, DNS and Kubernetes hold is compared.
//
// A process dies here by being cut off: all its connections break at one moment and nothing it does afterwards gets
// through. What it has sent before goes on in MAAS, as it would with a real one.
package faults
