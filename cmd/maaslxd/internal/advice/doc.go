// Package advice says what an operator can do about a reason of the service (docs/errors.md).
package advice
