// Package output writes what commands have found: for people as tables, sentences and bars, for programs as JSON or YAML.
package output
