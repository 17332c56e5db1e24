package main

import (
	"flag"
	"fmt"
	"io"
	"strings"

	"github.com/capmaas/capmaas/services/maassim"
)

const usage = `maassim serves a simulated MAAS with LXD hosts: any client of MAAS can use it, and nothing that it makes is real.

Usage:

  maassim [flags]

Examples:

  maassim                                       12 LXD hosts in 3 zones and 4 bare-metal machines at http://127.0.0.1:5240/MAAS
  maassim --hosts 3 --zones 1 --speed 60        a small MAAS where a minute lasts a second
  maassim --maas-version 3.8 --lxd-version 6.7  hosts whose LXD refuses what MAAS sends
  maassim --vmhosts-gone                        the MAAS after 3.8, without VM hosts
  maassim --real-cost --workers 2               as slow and as narrow as two processes of a real MAAS
  maassim --config world.json                   hosts, networks, images, users and faults as the file says
  maassim --tls-listen 127.0.0.1:5443 --ca-file ca.pem    TLS, and a plain port that redirects

  maassim --fault operation=vm-hosts.compose,host=lxd-3,status=503,count=2
  maassim --fault 'operation=machines.*,latency=pareto:50ms:1.5' --fault operation=*,preset=db-conflict,probability=0.01 --seed 7
  maassim --faults plan.json

A fault names what it disturbs (operation, host, machine, user: patterns with *, several with | between them; skip, count, probability) and how:
  latency=1s, uniform:A:B, normal:MEAN:DEVIATION, exponential:MEAN or pareto:MINIMUM:TAIL
  status=N with body=TEXT and retry-after=N, or preset=NAME; reset; each, like latency, before the effect, or with "after" behind it
  mangle=garbage, truncated, empty, nulls, wrong-types or html; nulls and wrong-types may name a field=NAME; trickle=DURATION
  effect=compose-lost, compose-again, window, vm-left, fail, post-commit, slow, stuck or host-offline
Presets: %s.

The control endpoint /_sim/ of the same port serves loopback alone: it shows LXD's truth, MAAS's beliefs and the counts of calls, and takes
faults while the simulator runs. GET /_sim/ lists its paths, GET /_sim/operations the names of operations.

Flags:

`

// explain prints how the command is used.
func explain(fs *flag.FlagSet, out io.Writer) {
	fmt.Fprintf(out, usage, strings.Join(maassim.FaultPresets(), ", "))
	fs.SetOutput(out)
	fs.PrintDefaults()
}

// greet says how the simulator that runs can be reached.
func greet(out io.Writer, s *maassim.Server, o options) error {
	parts := strings.Split(s.APIKey(), ":")
	address, trust := s.URL(), ""
	if s.TLSURL() != "" {
		address, trust = s.TLSURL(), "--cacert CERTIFICATE "
		if o.caFile != "" {
			trust = "--cacert " + o.caFile + " "
		}
	}
	_, err := fmt.Fprintf(out, `
MAAS %s at       %s
administrator's key  %s
alice's key          %s
control endpoint     %s/_sim/

curl %s-H "Authorization: OAuth oauth_version=1.0, oauth_signature_method=PLAINTEXT, oauth_consumer_key=%s, oauth_token=%s, oauth_signature=%%26%s, oauth_timestamp=$(date +%%s), oauth_nonce=$(date +%%N)$RANDOM" %s/api/2.0/vm-hosts/
curl %s/_sim/lxd
curl -d '{"operation": "vm-hosts.compose", "preset": "no-rack", "count": 1}' %s/_sim/faults
`, s.Version(), address, s.APIKey(), s.UserAPIKey(), s.BaseURL(), trust, parts[0], parts[1], parts[2], address, s.BaseURL(), s.BaseURL())
	return err
}
