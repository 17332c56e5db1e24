// Package deploy holds the tests of the manifests in deploy/.
package deploy
