// Package release holds the tests of what a release publishes: the components, templates and classes that clusterctl fetches,
// and the images.
package release
