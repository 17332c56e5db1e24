// Package command has one file for each command: its flags, what it asks of service and cluster, and nothing of how that
// looks (package view).
package command
