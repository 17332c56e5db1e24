// Package rules checks Prometheus's alerts and Grafana's dashboards with Prometheus's own parser and engine. It is a module of its own, so
// that Prometheus's requirements never move the product's.
package rules
