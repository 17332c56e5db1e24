// Package tilt holds the tests of the Tiltfile, of tilt/ and of tilt-provider.yaml. Tilt itself does not run in them: the
// Tiltfile is executed by Starlark's interpreter, and Tilt's functions note what they were asked for.
package tilt
