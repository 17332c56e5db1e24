// Package certmanager names the release of cert-manager whose custom resources tests install: they are files of its module.
package certmanager

import _ "github.com/cert-manager/cert-manager/pkg/apis/certmanager" // keeps the requirement
