package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/capmaas/capmaas/services/maassim"
)

// options are what the flags say.
type options struct {
	cfg                maassim.Config
	urlFile, caFile    string
	quiet, showVersion bool
}

// world are the flags that shape the world which --config replaces.
type world struct {
	hosts, zones, metal          int
	cores, memory, storage       int
	cpuOverCommit, memOverCommit float64
}

// setting is a flag that stands for a field of the configuration.
type setting struct {
	name  string
	apply func(*maassim.Config)
}

// flagSet gathers flags that apply to a configuration once it is read.
type flagSet struct {
	*flag.FlagSet
	settings []setting
}

// field adds a flag whose value goes where the function says, when it is given or there is no file.
func field[T any](f *flagSet, add func(*T, string, T, string), name string, fallback T, help string, at func(*maassim.Config) *T) {
	value := new(T)
	add(value, name, fallback, help)
	f.settings = append(f.settings, setting{name, func(cfg *maassim.Config) { *at(cfg) = *value }})
}

func parse(args []string, out, logs io.Writer) (options, error) {
	var o options
	var w world
	var configFile, faultFile string
	var faults []string
	var realCost bool
	f := &flagSet{FlagSet: flag.NewFlagSet("maassim", flag.ContinueOnError)}
	f.SetOutput(logs)
	f.Usage = func() {}
	f.StringVar(&configFile, "config", "", "JSON `file` with the world: hosts, zones, subnets, images, users, durations, faults; other flags go before it")
	f.StringVar(&o.urlFile, "url-file", "", "`file` to write MAAS's URL to once it serves")
	f.StringVar(&o.caFile, "ca-file", "", "`file` to write the certificate of --tls-listen to, for clients to trust")
	f.StringVar(&faultFile, "faults", "", "JSON `file` with a fault plan")
	f.Func("fault", "a `fault`, for example operation=vm-hosts.compose,host=lxd-3,status=503,count=2; may be given often", func(text string) error {
		faults = append(faults, text)
		return nil
	})
	f.BoolVar(&realCost, "real-cost", false, "let calls take what they took on a real MAAS, in simulated time")
	f.BoolVar(&o.quiet, "quiet", false, "print nothing about how to reach it")
	f.BoolVar(&o.showVersion, "version", false, "print the version and exit")
	f.world(&w)
	f.service()
	f.durations()
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			explain(f.FlagSet, out)
		}
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	var err error
	if o.cfg, err = f.config(configFile, w); err != nil {
		return o, err
	}
	if realCost {
		o.cfg.Cost = maassim.RealCost()
	}
	return o, addFaults(&o.cfg, faultFile, faults)
}

// world adds the flags of which DefaultConfig is made.
func (f *flagSet) world(w *world) {
	f.IntVar(&w.hosts, "hosts", 12, "number of LXD hosts")
	f.IntVar(&w.zones, "zones", 3, "number of availability zones that hosts and machines are spread over")
	f.IntVar(&w.metal, "metal", 4, "number of bare-metal machines")
	f.IntVar(&w.cores, "host-cores", 32, "cores of each LXD host")
	f.IntVar(&w.memory, "host-memory-gib", 128, "memory of each LXD host in GiB")
	f.IntVar(&w.storage, "host-storage-gb", 2000, "storage pool of each LXD host in GB (10^9 bytes)")
	f.Float64Var(&w.cpuOverCommit, "cpu-over-commit", 1, "`ratio` by which the cores of hosts may be promised")
	f.Float64Var(&w.memOverCommit, "memory-over-commit", 1, "`ratio` by which the memory of hosts may be promised")
}

// worldFlags are those that make no sense beside a file that describes the world.
var worldFlags = []string{"hosts", "zones", "metal", "host-cores", "host-memory-gib", "host-storage-gb", "cpu-over-commit", "memory-over-commit"}

// service adds the flags of what MAAS is and where it listens.
func (f *flagSet) service() {
	field(f, f.StringVar, "listen", "127.0.0.1:5240", "`address` to listen on; port 0 takes a free one", func(c *maassim.Config) *string { return &c.Listen })
	field(f, f.StringVar, "tls-listen", "", "`address` to serve TLS on; the plain port then redirects as that of a MAAS with TLS does", func(c *maassim.Config) *string { return &c.TLSListen })
	field(f, f.StringVar, "tls-cert", "", "PEM `file` with the certificate; none: one is made", func(c *maassim.Config) *string { return &c.TLSCertificate })
	field(f, f.StringVar, "tls-key", "", "PEM `file` with the certificate's key", func(c *maassim.Config) *string { return &c.TLSKey })
	field(f, f.StringVar, "maas-version", "3.5", "`version` of MAAS to behave like: 3.4 to 3.8", func(c *maassim.Config) *string { return &c.Version })
	field(f, f.StringVar, "lxd-version", "5.21.3", "`version` of LXD on hosts; from 6.7 on they refuse what MAAS sends", func(c *maassim.Config) *string { return &c.LXDVersion })
	field(f, f.StringVar, "api-key", maassim.DefaultAPIKey, "`key` of the administrator, consumer:token:secret", func(c *maassim.Config) *string { return &c.APIKey })
	field(f, f.StringVar, "user-api-key", maassim.DefaultUserAPIKey, "`key` of the plain user alice, consumer:token:secret", func(c *maassim.Config) *string { return &c.UserAPIKey })
	field(f, f.BoolVar, "vmhosts-gone", false, "answer 410 to everything about VM hosts, as the MAAS after 3.8 does", func(c *maassim.Config) *bool { return &c.VMHostsGone })
	field(f, f.Float64Var, "speed", 1, "`factor` by which simulated time runs faster", func(c *maassim.Config) *float64 { return &c.Speed })
	field(f, f.IntVar, "workers", 0, "`number` of regiond processes, each of which serves four calls at once; 0: no limit", func(c *maassim.Config) *int { return &c.Workers })
	field(f, f.Uint64Var, "seed", 1, "`number` that makes what is random repeat", func(c *maassim.Config) *uint64 { return &c.Seed })
}

// durations adds a flag for each thing that takes time.
func (f *flagSet) durations() {
	for _, d := range []struct {
		name     string
		fallback time.Duration
		help     string
		at       func(*maassim.Durations) *time.Duration
	}{
		{"compose", 3 * time.Second, "how long compose takes to answer", func(d *maassim.Durations) *time.Duration { return &d.Compose }},
		{"refresh", 2 * time.Second, "how long a host's refresh takes to answer", func(d *maassim.Durations) *time.Duration { return &d.Refresh }},
		{"delete", 2 * time.Second, "how long deleting a VM takes to answer", func(d *maassim.Durations) *time.Duration { return &d.Delete }},
		{"commission", 3 * time.Minute, "from Commissioning to Ready", func(d *maassim.Durations) *time.Duration { return &d.Commission }},
		{"deploy", 4 * time.Minute, "from Deploying to Deployed", func(d *maassim.Durations) *time.Duration { return &d.Deploy }},
		{"release", 20 * time.Second, "from Releasing to Ready", func(d *maassim.Durations) *time.Duration { return &d.Release }},
		{"test", 0, "how long Testing lasts; commissioning passes through it when it is not 0", func(d *maassim.Durations) *time.Duration { return &d.Test }},
		{"erase", 0, "from Disk erasing to Releasing", func(d *maassim.Durations) *time.Duration { return &d.Erase }},
		{"rescue", 0, "into rescue mode and out of it", func(d *maassim.Durations) *time.Duration { return &d.Rescue }},
		{"inventory", 0, "from the discovery of a host until MAAS knows its size", func(d *maassim.Durations) *time.Duration { return &d.Inventory }},
		{"allocate", 0, "how long allocate takes, under MAAS's lock", func(d *maassim.Durations) *time.Duration { return &d.Allocate }},
		{"deploy-call", 0, "how long deploy takes until it commits", func(d *maassim.Durations) *time.Duration { return &d.DeployCall }},
		{"power", 0, "how long switching a machine takes where MAAS waits for it", func(d *maassim.Durations) *time.Duration { return &d.Power }},
	} {
		field(f, f.DurationVar, d.name+"-duration", d.fallback, d.help, func(c *maassim.Config) *time.Duration { return d.at(&c.Durations) })
	}
	field(f, f.Float64Var, "duration-spread", 0, "`part` by which each single duration may differ: with 0.2, 10 s are 8 to 12 s", func(c *maassim.Config) *float64 { return &c.Durations.Spread })
}

// config makes the configuration: of the file if there is one, with the flags that were given; else of the flags.
func (f *flagSet) config(file string, w world) (maassim.Config, error) {
	var given []string
	f.Visit(func(one *flag.Flag) { given = append(given, one.Name) })
	cfg, err := w.config()
	if file != "" {
		for _, name := range worldFlags {
			if slices.Contains(given, name) {
				return cfg, fmt.Errorf("--%s: the file of --config says that", name)
			}
		}
		cfg, err = maassim.LoadConfig(file, maassim.Config{Listen: "127.0.0.1:5240"})
	}
	if err != nil {
		return cfg, err
	}
	for _, s := range f.settings {
		if file == "" || slices.Contains(given, s.name) {
			s.apply(&cfg)
		}
	}
	if cfg.Speed < 0 || cfg.Speed == 0 && file == "" {
		return cfg, fmt.Errorf("--speed %g: must be positive", cfg.Speed)
	}
	return cfg, nil
}

func (w world) config() (maassim.Config, error) {
	cfg := maassim.DefaultConfig(w.hosts, w.zones, w.metal)
	for i := range cfg.Hosts {
		h := &cfg.Hosts[i]
		h.Cores, h.MemoryMiB, h.CPUOverCommit, h.MemoryOverCommit = w.cores, w.memory<<10, w.cpuOverCommit, w.memOverCommit
		h.StoragePools[0].Total = int64(w.storage) * 1e9
	}
	return cfg, errors.Join(atLeast("hosts", w.hosts, 0), atLeast("zones", w.zones, 1), atLeast("metal", w.metal, 0),
		atLeast("host-cores", w.cores, 1), atLeast("host-memory-gib", w.memory, 1), atLeast("host-storage-gb", w.storage, 1),
		ratio("cpu-over-commit", w.cpuOverCommit), ratio("memory-over-commit", w.memOverCommit))
}

// addFaults adds the faults of a file and of flags to those of the configuration.
func addFaults(cfg *maassim.Config, file string, flags []string) error {
	if file != "" {
		plan, err := maassim.LoadFaults(file)
		if err != nil {
			return err
		}
		cfg.Faults = append(cfg.Faults, plan...)
	}
	for _, text := range flags {
		fault, err := maassim.ParseFault(text)
		if err != nil {
			return err
		}
		cfg.Faults = append(cfg.Faults, fault)
	}
	return nil
}

func atLeast(name string, n, least int) error {
	if n < least {
		return fmt.Errorf("--%s %d: must be at least %d", name, n, least)
	}
	return nil
}

func ratio(name string, r float64) error {
	if r <= 0 || r > 10 {
		return fmt.Errorf("--%s %g: MAAS takes more than 0, up to 10", name, r)
	}
	return nil
}
