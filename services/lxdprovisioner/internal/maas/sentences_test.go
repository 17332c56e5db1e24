package maas_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/maas"
)

// refusal is an answer of a real MAAS 3.4.10 that is no success, as it was recorded.
type refusal struct {
	Recording    int
	Request      string
	Status       int
	Type         string
	RetryAfter   string
	Authenticate string
	Body         string
}

// recordedRefusals are by their numbers.
func recordedRefusals(t *testing.T) map[int]refusal {
	t.Helper()
	file, err := os.Open("testdata/refusals.jsonl")
	require.NoError(t, err)
	defer func() { assert.NoError(t, file.Close()) }()
	out := map[int]refusal{}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		var r refusal
		require.NoError(t, json.Unmarshal(lines.Bytes(), &r))
		out[r.Recording] = r
	}
	require.NoError(t, lines.Err())
	return out
}

// sentence is one thing that MAAS, or what stands before it, says, and what it means.
type sentence struct {
	name string
	// ops are the operations to which it is said.
	ops string
	// recorded are the numbers of recordings in which a real MAAS says so. Without any, said is what MAAS's
	// source says, or what a proxy would.
	recorded []int
	said     answer
	// fault is kind and reason.
	fault string
}

// sentences is the whole table: its parts are in sentences_*_test.go.
func sentences() []sentence {
	var all []sentence
	for _, part := range [][]sentence{anySentences, composeSentences, hostSentences, machineSentences, networkSentences} {
		all = append(all, part...)
	}
	return all
}

func (s sentence) answers(t *testing.T) []answer {
	t.Helper()
	if len(s.recorded) == 0 {
		return []answer{s.said}
	}
	all := recordedRefusals(t)
	out := make([]answer, 0, len(s.recorded))
	for _, number := range s.recorded {
		r, ok := all[number]
		require.Truef(t, ok, "there is no recording %d", number)
		out = append(out, answer{r.Status, r.Type, r.RetryAfter, r.Body})
	}
	return out
}

func TestErrors_every_sentence_of_MAAS_has_its_meaning(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, s := range sentences() {
		require.Falsef(t, names[s.name], "%s is there twice", s.name)
		names[s.name] = true
		for op := range strings.FieldsSeq(s.ops) {
			t.Run(s.name+"/"+op, func(t *testing.T) {
				t.Parallel()
				require.Contains(t, calls, op)
				for _, a := range s.answers(t) {
					checkMeaning(t, s, op, a)
				}
			})
		}
	}
}

func checkMeaning(t *testing.T, s sentence, op string, a answer) {
	t.Helper()
	g := serve(t, a)
	c := client(t, g.URL, func(cfg *maas.Config) { cfg.Retry.Attempts = 1 })
	err := calls[op](t.Context(), c)
	require.Error(t, err)
	require.Equal(t, s.fault, fault.KindOf(err).String()+" "+string(fault.ReasonOf(err)), "%v", err)
	require.Less(t, len(err.Error()), 500)
	require.NotContains(t, err.Error(), "\n")
	if a.again != "" && a.status != http.StatusUnauthorized {
		f, ok := errorsAsFault(err)
		require.True(t, ok)
		require.Equal(t, a.again+"s", fmt.Sprintf("%.0fs", f.RetryAfter().Seconds()))
	}
}

func TestErrors_every_recorded_refusal_is_in_the_table(t *testing.T) {
	t.Parallel()
	said := map[int]sentence{}
	for _, s := range sentences() {
		for _, number := range s.recorded {
			said[number] = s
		}
	}
	operations := map[string]maas.Operation{}
	for _, o := range maas.Operations() {
		operations[o.Name] = o
	}
	for number, r := range recordedRefusals(t) {
		s, ok := said[number]
		if !assert.Truef(t, ok, "%d: %s → %d %.80s", number, r.Request, r.Status, r.Body) {
			continue
		}
		if strings.Contains(s.name, "any_") {
			continue // said to requests that we don't make, in words that all requests may get
		}
		var requests []string
		for op := range strings.FieldsSeq(s.ops) {
			requests = append(requests, shape(operations[op].Request))
		}
		assert.Contains(t, requests, shape(r.Request), "recording %d is of another request", number)
	}
}

// shape is a request without its ids.
func shape(request string) string {
	method, target, _ := strings.Cut(request, " ")
	path, op, _ := strings.Cut(target, "?op=")
	parts := strings.Split(strings.Trim(path, "/"), "/")
	for i := 1; i < len(parts); i += 2 {
		parts[i] = "{}"
	}
	return method + " " + strings.Join(parts, "/") + "?" + op
}

func TestErrors_Refused_is_said_of_compositions_alone(t *testing.T) {
	t.Parallel()
	for _, s := range sentences() {
		if strings.HasPrefix(s.fault, "Refused ") {
			require.Equal(t, "vm-hosts.compose", s.ops, "X2.4: %s", s.name)
		}
	}
}
