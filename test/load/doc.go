// Package load counts what many machines cost MAAS: requests, the time that MAAS itself takes for them, bytes, and how much
// longer it all lasts than MAAS alone would take. A real API server, the manager, the service over a socket and the
// simulated MAAS over HTTP run in one process. MAAS's time runs faster than the clock by the speed of the fleet, as do all
// pauses of manager and service; what this machine computes does not, so that a slow machine shows in times and, through
// questions asked at intervals, a little in counts.
package load

import "time"

// now is the clock of this machine: what is measured happens in several goroutines and programs at once.
var now = time.Now //nolint:forbidigo // see above
