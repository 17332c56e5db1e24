// Command manager runs the Cluster API infrastructure provider's controllers.
package main

import (
	"flag"
	"fmt"
	"os"

	"k8s.io/klog/v2"
	"k8s.io/klog/v2/textlogger"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/capmaas/capmaas/controllers/app"
)

func main() { os.Exit(run()) }

// run gives the exit status: 2 for what the caller can put right on the command line, 1 for everything else.
func run() int {
	options := app.DefaultOptions()
	options.AddFlags(flag.CommandLine)
	logging := textlogger.NewConfig()
	logging.AddFlags(flag.CommandLine)
	version := flag.Bool("version", false, "Print the version and exit")
	flag.Parse()
	if *version {
		fmt.Println(app.Version)
		return 0
	}
	options.LogLevel = logging.Verbosity()
	if err := options.Validate(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	log := textlogger.NewLogger(logging)
	ctrl.SetLogger(log)
	klog.SetLogger(log)
	ctx := ctrl.LoggerInto(ctrl.SetupSignalHandler(), log)
	var err error
	if options.Config, err = ctrl.GetConfig(); err != nil {
		log.Error(err, "Reading the kubeconfig")
		return 2
	}
	if err := app.Run(ctx, options); err != nil {
		log.Error(err, "Running the manager")
		return 1
	}
	return 0
}
