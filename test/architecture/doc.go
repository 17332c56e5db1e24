// Package architecture holds the tests that keep the shape of the code: which package may reach
// which, what a comment may speak of, what every package and RPC must have. docs/architecture.md
// gives the reasons in words.
package architecture
