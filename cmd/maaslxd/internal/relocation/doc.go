// Package relocation finds out where the VMs of a host could be made anew, all of them together, without making or noting
// anything: the service ranks the hosts for each VM, and what the plan has already given away is taken off them here.
package relocation
