// Package stack holds what every test on a full stack starts: the service and the manager in this process, a meter between
// the service and MAAS, and the objects that Cluster API would have made. Who needs processes that die puts gates in between.
package stack
