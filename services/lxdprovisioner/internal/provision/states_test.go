package provision_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/provision"
	"github.com/capmaas/capmaas/services/maassim"
)

// statesDoc promises what is done in each of MAAS's states.
const statesDoc = "../../../../docs/machine-states.md"

// tableOf gives the rows of the table in statesDoc whose first columns have these titles.
func tableOf(t *testing.T, titles ...string) [][]string {
	t.Helper()
	text, err := os.ReadFile(statesDoc)
	require.NoError(t, err)
	head := "| " + strings.Join(titles, " | ") + " |"
	_, after, found := strings.Cut(string(text), head)
	require.True(t, found, "%s has no table %s", statesDoc, head)
	var rows [][]string
	for line := range strings.Lines(after) {
		line = strings.TrimSpace(line)
		if line == "" && len(rows) > 0 {
			break
		}
		if !strings.HasPrefix(line, "| ") {
			continue
		}
		var row []string
		for cell := range strings.SplitSeq(strings.Trim(line, "|"), "|") {
			row = append(row, strings.TrimSpace(cell))
		}
		rows = append(rows, row)
	}
	return rows
}

// promise is a row of the table about deleting.
type promise struct {
	status                      inventory.Status
	label                       string
	ours, nobodys, theirs, bare string
}

func promises(t *testing.T) []promise {
	t.Helper()
	var all []promise
	for i, row := range tableOf(t, "no.", "status", "VM of ours", "VM of nobody", "VM of somebody else", "bare metal") {
		n, err := strconv.Atoi(row[0])
		require.NoError(t, err)
		require.Equal(t, i, n, "the rows are in MAAS's order")
		all = append(all, promise{inventory.Status(n), row[1], row[2], row[3], row[4], row[5]})
	}
	require.Len(t, all, 23, "MAAS has 23 states")
	return all
}

// brought makes somebody write the state of a machine to MAAS's database.
func (w *world) brought(machine string, s inventory.Status, disown bool) {
	w.t.Helper()
	require.NotEmpty(w.t, s.FilterWord())
	require.NoError(w.t, w.sim.Finish(machine, maassim.Ending{ByHand: true, Status: s.FilterWord(), Disown: disown}))
}

// outcome is an answer in the words of the tables.
func outcome(err error) string {
	if err == nil {
		return "VM"
	}
	return fmt.Sprintf("%s %s", fault.KindOf(err), fault.ReasonOf(err))
}

func TestDeleteVM_in_every_state_of_MAAS(t *testing.T) {
	t.Parallel()
	for _, p := range promises(t) {
		t.Run("X4.1_"+p.status.FilterWord()+"_of_a_marked_VM", func(t *testing.T) {
			t.Parallel()
			w := start(t, 1, 0)
			req := w.composed("cp-0", "lxd-1")
			w.brought(req.Attempt.Name, p.status, false)
			m, err := w.cfg.MAAS.Machine(w.ctx(), req.Attempt.SystemID)
			require.NoError(t, err)
			require.Equal(t, p.label, m.StatusName)
			w.deleteAs(p.ours, req)
		})
		t.Run("X4.1_"+p.status.FilterWord()+"_of_a_VM_that_was_claimed_and_not_marked", func(t *testing.T) {
			t.Parallel()
			w := start(t, 1, 0)
			req := w.composeRequest("cp-0", "lxd-1")
			_, err := w.cfg.MAAS.Claim(w.ctx(), w.made(req.Attempt), "capmaas/"+req.Attempt.Name)
			require.NoError(t, err)
			req.Attempt = w.sent(req.Attempt)
			w.brought(req.Attempt.Name, p.status, false)
			w.deleteAs(p.ours, req)
		})
		t.Run("X4.1_"+p.status.FilterWord()+"_of_a_VM_without_owner", func(t *testing.T) {
			t.Parallel()
			w := start(t, 1, 0)
			req := w.composeRequest("cp-0", "lxd-1")
			w.made(req.Attempt)
			req.Attempt = w.sent(req.Attempt)
			w.brought(req.Attempt.Name, p.status, true)
			w.deleteAs(p.nobodys, req)
		})
		t.Run("X3.2_"+p.status.FilterWord()+"_of_a_VM_that_somebody_else_owns", func(t *testing.T) {
			t.Parallel()
			w := start(t, 1, 0)
			req := w.composeRequest("cp-0", "lxd-1")
			_, err := w.as(w.sim.UserAPIKey()).Claim(w.ctx(), w.made(req.Attempt), "alice/build")
			require.NoError(t, err)
			req.Attempt = w.sent(req.Attempt)
			w.brought(req.Attempt.Name, p.status, false)
			w.deleteAs(p.theirs, req)
		})
	}
}

// deleteAs deletes the VM of a request whose answer was seen and holds it against the word of the table.
func (w *world) deleteAs(word string, req provision.ComposeRequest) {
	w.t.Helper()
	req.Attempt.Settled = true
	absences, err := w.lxd.DeleteVM(w.ctx(), deleteRequest(req.Owner, req.Attempt))
	switch word {
	case "deleted":
		require.NoError(w.t, err)
	case "left alone":
		require.NoError(w.t, err)
		m, ok := w.sim.Machine(req.Attempt.Name)
		require.True(w.t, ok)
		assert.Equal(w.t, "alice", m.Owner)
		assert.True(w.t, w.inLXD(req.Attempt.Name))
		assert.Zero(w.t, w.sim.Requests()["machines.delete"])
		assert.True(w.t, w.logged("Leaving machine alone", "vm="+req.Attempt.Name))
		return
	case "waits":
		requireFault(w.t, err, fault.Busy, fault.ReasonDeletionInProgress)
		assert.True(w.t, w.inLXD(req.Attempt.Name))
		assert.Zero(w.t, w.sim.Requests()["machines.delete"])
		w.brought(req.Attempt.Name, inventory.StatusReady, true)
		absences, err = w.lxd.DeleteVM(w.ctx(), deleteRequest(req.Owner, req.Attempt))
		require.NoError(w.t, err, "it ended as nobody's")
	default:
		w.t.Fatalf("the table says %q", word)
	}
	assert.Equal(w.t, []provision.Absence{{Name: req.Attempt.Name, Proof: provision.Refreshed}}, absences)
	assert.Empty(w.t, w.sim.LXD(), "R5.4 nothing is left in LXD")
	assert.Empty(w.t, w.vms(), "R5.4 nothing is left in MAAS")
}

func TestReleaseMachine_in_every_state_of_MAAS(t *testing.T) {
	t.Parallel()
	for _, p := range promises(t) {
		t.Run("X3.9_"+p.status.FilterWord(), func(t *testing.T) {
			t.Parallel()
			w := start(t, 0, 1, func(c *maassim.Config) { c.Durations.Test = time.Hour })
			m, err := w.metal.AllocateMachine(w.ctx(), allocateRequest())
			require.NoError(t, err)
			if p.status == inventory.StatusTesting {
				// MAAS remembers to which state an aborted test returns.
				w.post("machines/"+m.SystemID+"/?op=test", nil)
			} else {
				w.brought(m.SystemID, p.status, false)
			}
			w.releaseAs(p.bare, provision.ReleaseRequest{
				Machine: provision.MachineRef{AgentName: worker.AgentName, SystemID: m.SystemID}, Owner: owner("worker-0"),
			})
			assert.Zero(t, w.sim.Requests()["machines.delete"], "metal is never deleted")
			kept, ok := w.sim.Machine(m.SystemID)
			require.True(t, ok)
			if p.bare != "free" {
				assert.Empty(t, kept.Owner)
				assert.Contains(t, []string{"ready", "new"}, kept.Status)
			}
		})
	}
}

// releaseAs releases a machine and holds it against the word of the table.
func (w *world) releaseAs(word string, req provision.ReleaseRequest) {
	w.t.Helper()
	w.sim.ResetRequests()
	err := w.metal.ReleaseMachine(w.ctx(), req)
	sent := w.sim.Requests()["machines.release"]
	aborted := w.sim.Requests()["machines.abort"]
	switch word {
	case "released":
		assert.Equal(w.t, 1, sent)
		if err != nil {
			requireFault(w.t, err, fault.Busy, fault.ReasonDeletionInProgress)
		}
	case "aborted":
		requireFault(w.t, err, fault.Busy, fault.ReasonDeletionInProgress)
		assert.Equal(w.t, 1, aborted)
	case "free":
		require.NoError(w.t, err)
		assert.Zero(w.t, sent+aborted)
	case "waits":
		requireFault(w.t, err, fault.Busy, fault.ReasonDeletionInProgress)
		assert.Zero(w.t, sent+aborted)
		w.brought(req.Machine.SystemID, inventory.StatusAllocated, false)
	case "operator":
		requireFault(w.t, err, fault.Busy, fault.ReasonNotReady)
		assert.Contains(w.t, err.Error(), " to let it be released", "the message names the way out")
		assert.Zero(w.t, sent+aborted)
		w.brought(req.Machine.SystemID, inventory.StatusAllocated, false)
	default:
		w.t.Fatalf("the table says %q", word)
	}
	require.Eventually(w.t, func() bool { return w.metal.ReleaseMachine(w.ctx(), req) == nil }, 10*time.Second, time.Millisecond,
		"nothing is stuck")
}

func TestMaking_a_VM_that_is_there_already(t *testing.T) {
	t.Parallel()
	for title, claimed := range map[string]bool{"VM of nobody": false, "VM of ours": true} {
		for _, row := range tableOf(t, title, "ComposeVM, sent before", "DeployVM") {
			status := labelled(t, row[0])
			t.Run("X3.7_"+status.FilterWord()+"_claimed_"+strconv.FormatBool(claimed), func(t *testing.T) {
				t.Parallel()
				w, req := standing(t, status, claimed)
				_, err := w.lxd.ComposeVM(w.ctx(), req)
				assert.Equal(t, row[1], outcome(err), "ComposeVM")
				w.keepsOrDeletes(req, status, err)
				w, req = standing(t, status, claimed)
				_, err = w.lxd.DeployVM(w.ctx(), deployRequest(req))
				assert.Equal(t, row[2], outcome(err), "DeployVM")
				w.keepsOrDeletes(req, status, err)
			})
		}
	}
}

// labelled gives the state of MAAS's label.
func labelled(t *testing.T, label string) inventory.Status {
	t.Helper()
	for _, p := range promises(t) {
		if p.label == label {
			return p.status
		}
	}
	t.Fatalf("MAAS has no state %q", label)
	return 0
}

// standing is a world with a VM in a state, for an attempt that was sent; claimed and marked, or without
// an owner. The process has forgotten what it did.
func standing(t *testing.T, s inventory.Status, claimed bool) (*world, provision.ComposeRequest) {
	t.Helper()
	w := start(t, 1, 0)
	req := w.composeRequest("cp-0", "lxd-1")
	if claimed {
		req = w.composed("cp-0", "lxd-1")
	} else {
		w.made(req.Attempt)
		req.Attempt = w.sent(req.Attempt)
	}
	w.brought(req.Attempt.Name, s, !claimed)
	w.restart()
	w.sim.ResetRequests()
	return w, req
}

// keepsOrDeletes demands that a VM is deleted exactly where the answer lets the caller open another
// attempt after it was made, and that GetVM tells the state of what is kept.
func (w *world) keepsOrDeletes(req provision.ComposeRequest, s inventory.Status, answer error) {
	w.t.Helper()
	refused := fault.Is(answer, fault.Refused)
	assert.Equal(w.t, !refused, w.inLXD(req.Attempt.Name))
	assert.LessOrEqual(w.t, len(w.sim.LXD()), 1)
	if refused {
		assert.Empty(w.t, w.vms())
		return
	}
	assert.Equal(w.t, 0, w.sim.Requests()["machines.delete"])
	got, err := w.lxd.GetVM(w.ctx(), provision.GetRequest{Attempt: req.Attempt, Owner: &req.Owner})
	require.NoError(w.t, err)
	if answer != nil {
		assert.Equal(w.t, s, got.Status)
	}
}
