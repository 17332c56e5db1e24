// Package view holds what commands find, in the form in which programs get it as JSON, and writes it for people.
package view
