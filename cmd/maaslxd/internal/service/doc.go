// Package service reaches the provisioning service: by its address or through the Kubernetes API, with the operator's
// certificate, and reads whole lists page by page.
package service
