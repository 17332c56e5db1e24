package orphans_test

import (
	"testing"

	"github.com/capmaas/capmaas/controllers/internal/managertest"
)

func TestMain(m *testing.M) { managertest.Main(m) }
