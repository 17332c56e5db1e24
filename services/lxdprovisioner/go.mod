module github.com/capmaas/capmaas/services/lxdprovisioner

go 1.26.0
