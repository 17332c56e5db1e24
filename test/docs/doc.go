// Package docs holds the tests of the pages: their links lead somewhere, and their commands are run or checked.
package docs
