// Package maassim is a simulated MAAS: a real HTTP server that answers as MAAS 3.4 to 3.8 does wherever a provider of LXD virtual machines
// and bare-metal machines calls it.
//
// In a test:
//
//	sim, err := maassim.New(maassim.DefaultConfig(12, 3, 4))
//	srv := httptest.NewServer(sim)
//	// MAAS is at srv.URL + "/MAAS", the key of its administrator is sim.APIKey()
//
// or, listening on loopback until the context ends:
//
//	server, err := maassim.Start(ctx, maassim.DefaultConfig(12, 3, 4))
//	// server.URL(), server.APIKey(), server.LXD(), …
//
// What MAAS believes (Machines) and what is true in LXD (LXD) are kept apart and differ as they do in reality: a compose whose answer was
// lost leaves an instance without a machine, a DELETE while the host is off leaves one too, a refresh imports both.
//
// Time runs at Config.Speed. Things happen when they are due and somebody looks; with the durations of the zero Config they are due at
// once, so that a machine is Deploying in the answer to deploy and Deployed in the next one.
//
// What goes wrong is a plan of faults (Config.Faults, AddFaults, ParseFault, LoadFaults); README.md says what they can do and which of MAAS's
// operations there are.
//
// Every answer that a recording of a real MAAS 3.4.10 showed is given in the same words; the numbers of recordings in comments are those of
// that collection.
package maassim
