// Package workload is what machines turn into where thousands have to fit on one computer: members of clusters that live in
// memory. A machine reads its user data as kubeadm would, and does in Cluster API's in-memory API server and etcd what kubeadm
// and a kubelet do in real ones: the first control plane makes the cluster, the others and the workers join it through its
// endpoint with their token. Every control plane listens at its own address with certificates of the cluster's own
// authorities, and knows its callers by theirs, so that DNS, kubeconfigs and credentials have to be right as for a real one.
package workload
