// Package integration holds the tests of the whole stack in one process: a real API server, the
// manager, the service behind a socket, and the simulated MAAS over HTTP.
package integration
