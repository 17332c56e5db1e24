// Package cluster reads a management cluster as an operator may: the objects of this provider with what is written on them,
// and the way to the service through the Kubernetes API.
package cluster
