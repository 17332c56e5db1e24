// Package diagnosis checks what the provider depends on and says of each finding what to do.
package diagnosis
