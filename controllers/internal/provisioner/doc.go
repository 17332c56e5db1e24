// Package provisioner is the controllers' side of the RPC contract: how the service is reached, what an error of it
// means for the next step, and how long to wait for that.
package provisioner
