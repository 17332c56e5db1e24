// cert-manager's custom resources, against which tests hold our Certificates.
module github.com/capmaas/capmaas/tools/certmanager

go 1.26.0

require github.com/cert-manager/cert-manager v1.21.2
