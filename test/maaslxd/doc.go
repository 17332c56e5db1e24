// Package maaslxd tests the operator's command against the real service on the simulated MAAS, with the manager and a real
// API server where the command reads objects. It is here because the command's module knows neither.
package maaslxd
