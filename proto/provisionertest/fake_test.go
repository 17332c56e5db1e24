package provisionertest_test

import (
	"errors"
	"testing"
	"time"

	"github.com/capmaas/capmaas/proto/errorinfo"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
	"github.com/capmaas/capmaas/proto/provisionertest"
)

func harness(t *testing.T, config provisionertest.Config) provisionertest.Harness {
	t.Helper()
	fake := provisionertest.New(config)
	must := func(t *testing.T, done bool) {
		t.Helper()
		if !done {
			t.Fatal("the fake knows no such host or machine")
		}
	}
	return provisionertest.Harness{
		Conn: fake.Dial(t), Now: fake.Now, Image: &lxdprovisionerv1.Image{Os: "ubuntu", Series: "jammy"}, ResourcePool: "lxd", Domain: "maas",
		BreakHost:   func(t *testing.T, name string) { t.Helper(); must(t, fake.SetHostOnline(name, false)) },
		AddStranger: func(t *testing.T, name, host string) { t.Helper(); must(t, fake.AddStranger(name, host)) },
		LoseNextAnswer: func(*testing.T) {
			fake.FailNextAfterEffect("ComposeVM", errors.New("the connection broke"))
		},
		LockMachine: func(t *testing.T, id string, locked bool) { t.Helper(); must(t, fake.SetLocked(id, locked)) },
		SwitchOff: func(t *testing.T, id string) {
			t.Helper()
			must(t, fake.SetPower(id, lxdprovisionerv1.PowerState_POWER_STATE_OFF))
		},
		FailMachine: func(t *testing.T, id string) {
			t.Helper()
			must(t, fake.SetState(id, lxdprovisionerv1.MachineState_MACHINE_STATE_FAILED, "curtin failed"))
		},
		AddAllocation: func(t *testing.T, agent string) { t.Helper(); must(t, fake.AddAllocation(agent) != "") },
		StopMAAS: func(*testing.T) {
			down := provisionertest.Fault(errorinfo.Unavailable, lxdprovisionerv1.Reason_REASON_MAAS_UNAVAILABLE, "MAAS does not answer")
			fake.SetProblem(down)
			for _, method := range []string{"GetVM", "GetMachine", "ListZones"} {
				fake.FailEvery(method, down)
			}
		},
	}
}

func TestFake_keeps_the_contract(t *testing.T) {
	t.Parallel()
	t.Run("where_nothing_takes_time", func(t *testing.T) {
		t.Parallel()
		provisionertest.RunContract(t, func(t *testing.T) provisionertest.Harness {
			t.Helper()
			return harness(t, provisionertest.Config{})
		})
	})
	t.Run("where_everything_takes_time", func(t *testing.T) {
		t.Parallel()
		const a = 30 * time.Millisecond
		provisionertest.RunContract(t, func(t *testing.T) provisionertest.Harness {
			t.Helper()
			return harness(t, provisionertest.Config{CommissionFor: a, DeployFor: a, DeleteFor: a, ReleaseFor: a})
		})
	})
}
