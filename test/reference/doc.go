// Package reference writes and checks the pages of docs/ that list what the code has: fields, conditions, reasons, events.
package reference
