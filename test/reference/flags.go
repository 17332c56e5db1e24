package reference

import (
	"flag"
	"strings"

	"k8s.io/klog/v2/textlogger"
	"sigs.k8s.io/controller-runtime/pkg/client/config"

	managerapp "github.com/capmaas/capmaas/controllers/app"
	serviceapp "github.com/capmaas/capmaas/services/lxdprovisioner/app"
)

// flagsHead is what stands before the tables of flags.
const flagsHead = `# Flags

<!-- Written by make manifests from the programs themselves. Do not edit. -->

What manager and service can be told on their command lines. Each names every bad flag at once and does not start. maaslxd has [a page of its own](../maaslxd.md).
`

// Flags writes the page of flags of the manager and the service.
func Flags() []byte {
	p := &page{}
	p.WriteString(flagsHead)
	p.flags("manager", managerFlags())
	p.flags("lxdprovisioner", serviceFlags())
	return p.Bytes()
}

// managerFlags are those that the manager's main function registers.
func managerFlags() *flag.FlagSet {
	set := flag.NewFlagSet("manager", flag.ContinueOnError)
	options := managerapp.DefaultOptions()
	options.AddFlags(set)
	textlogger.NewConfig().AddFlags(set)
	config.RegisterFlags(set)
	set.Bool("version", false, "Print the version and exit")
	return set
}

// serviceFlags are those that the service's main function registers.
func serviceFlags() *flag.FlagSet {
	set := flag.NewFlagSet("lxdprovisioner", flag.ContinueOnError)
	(&serviceapp.Config{}).AddFlags(set)
	set.Bool("version", false, "print the version and exit")
	return set
}

func (p *page) flags(program string, set *flag.FlagSet) {
	p.printf("\n## %s\n\n| flag | default | meaning |\n|---|---|---|\n", program)
	set.VisitAll(func(f *flag.Flag) {
		value, usage := flag.UnquoteUsage(f)
		if value != "" {
			value = " " + strings.ToUpper(value)
		}
		preset := ""
		if f.DefValue != "" {
			preset = "`" + f.DefValue + "`"
		}
		p.printf("| `--%s%s` | %s | %s |\n", f.Name, value, preset, cell(usage))
	})
}
