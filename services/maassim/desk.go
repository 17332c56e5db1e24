package maassim

import (
	"time"

	"github.com/capmaas/capmaas/services/maassim/internal/load"
	"github.com/capmaas/capmaas/services/maassim/internal/rest"
)

// placesPerWorker is how many requests a regiond worker serves at once. Its nine database threads are more than that and never run out through
// the API alone.
const placesPerWorker = 4

// Load is what MAAS is serving and who waits, and what each operation has cost.
type Load = load.Load

// OperationLoad is what the calls of one operation have cost so far, in simulated time.
type OperationLoad = load.Operation

// Load returns what MAAS is serving and who waits, and what each operation has cost. Calls that were refused before they got to their operation
// (401, 404 of a path, 405) are not in it.
func (s *Sim) Load() Load {
	l := s.desk.Load()
	l.RowsVisited = s.region.Visited()
	return l
}

// ResetLoad starts counting anew, but for rows; what is under way goes on.
func (s *Sim) ResetLoad() { s.desk.Reset() }

// serve runs an operation when there is a place for it. What it changes has happened when its handler returns; the time that MAAS itself takes
// passes then, before the answer, and the place is given back after it.
func (s *Sim) serve(operation string, q *rest.Request, handle rest.Handler) (any, error) {
	leave := s.desk.Enter(operation)
	var cost time.Duration
	defer func() { leave(cost) }()
	value, err := handle(q)
	cost = s.cfg.Cost.of(operation, q, value, err)
	s.wait(cost)
	return value, err
}
