// Package observability proves what the service and the manager tell of themselves: their metrics are those of docs/metrics.md, one trace and one
// correlation id lead from a MaasMachine to MAAS's request log, and none of it holds a secret.
package observability
