package provisionertest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/capmaas/capmaas/proto/errorinfo"
	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
)

func (s *suite) composeVM() {
	attempt := s.attempt("cp-0")
	// Two callers at once are one composition; the second joins or finds.
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			_, err := s.lxd.ComposeVM(s.ctx(), s.composeRequest(attempt))
			if info, _ := errorinfo.From(err); err != nil && info.Kind != errorinfo.Busy {
				s.t.Errorf("compose twice at once: %v", err)
			}
		})
	}
	both.Wait()
	sent, vm := s.compose(attempt)
	s.checkf(vm.GetName() == "cp-0" && vm.GetHostId() == attempt.GetHostId() && vm.GetHostName() == attempt.GetHostName(), "the VM is on the attempt's host: %v", vm)
	s.checkf(vm.GetProviderId() == fmt.Sprintf("maas-lxd:///%s/%s", vm.GetZone(), vm.GetSystemId()), "provider id %q", vm.GetProviderId())
	s.checkf(vm.GetResources().GetCores() == 2 && vm.GetResources().GetMemoryMib() == 4096, "resources %v", vm.GetResources())
	s.checkf(vm.GetZone() == s.host(attempt.GetHostId()).GetZone(), "X2.2: the VM is in its host's zone")
	s.checkf(proto.Equal(vm.GetStatus().GetOwner(), ownerOf("cp-0")), "X3.3: the mark is %v", vm.GetStatus().GetOwner())

	for range 2 {
		answer, err := s.lxd.ComposeVM(s.ctx(), s.composeRequest(sent))
		s.checkf(ok(s, answer, err).GetVm().GetSystemId() == vm.GetSystemId(), "a repeat finds what was made")
	}
	s.checkf(len(s.vms()) == 1, "there are %d VMs", len(s.vms()))
}

func (s *suite) composeSentBefore() {
	attempt := s.attempt("cp-0")
	_, err := s.lxd.ComposeVM(s.ctx(), s.composeRequest(s.sent(attempt)))
	s.fault(err, errorinfo.Busy, lxdprovisionerv1.Reason_REASON_COMPOSITION_IN_PROGRESS)
	old := proto.CloneOf(attempt)
	old.SentAt = timestamppb.New(s.Now().Add(-unknownFor - time.Second))
	_, err = s.lxd.ComposeVM(s.ctx(), s.composeRequest(old))
	s.fault(err, errorinfo.NotFound, lxdprovisionerv1.Reason_REASON_VM_NOT_FOUND)
	old.HostName = "renamed"
	_, err = s.lxd.ComposeVM(s.ctx(), s.composeRequest(old))
	s.fault(err, errorinfo.Unavailable)
	s.checkf(len(s.vms()) == 0, "nothing is sent for an attempt that was sent before")
}

func (s *suite) composeLost() {
	if s.LoseNextAnswer == nil {
		s.t.Skip("the harness can't lose an answer")
	}
	attempt := s.attempt("cp-0")
	s.LoseNextAnswer(s.t)
	_, err := s.lxd.ComposeVM(s.ctx(), s.composeRequest(attempt))
	// A service that looks for what it has made may still answer OK.
	if info, ours := errorinfo.From(err); ours {
		s.checkf(info.Kind == errorinfo.Busy || info.Kind == errorinfo.Unavailable, "a lost answer is an unknown outcome: %v", err)
	}
	sent, vm := s.sent(attempt), (*lxdprovisionerv1.VM)(nil)
	s.until("the lost VM is found", func(ctx context.Context) (bool, error) {
		answer, err := s.lxd.ComposeVM(ctx, s.composeRequest(sent))
		vm = answer.GetVm()
		return vm.GetStatus().GetState() == stateAllocated && vm.GetStatus().GetClaimed(), err
	})
	s.checkf(len(s.vms()) == 1, "there are %d VMs", len(s.vms()))
}

func (s *suite) composeTaken() {
	hosts := s.hosts()
	s.compose(attemptOn(hosts[0], "cp-0"))
	other := attemptOn(hosts[1], "cp-0")
	request := s.composeRequest(s.sent(other))
	request.Owner = ownerOf("somebody")
	_, err := s.lxd.ComposeVM(s.ctx(), request)
	s.fault(err, errorinfo.Conflict, lxdprovisionerv1.Reason_REASON_NAME_TAKEN)
	if s.AddStranger == nil {
		return
	}
	s.AddStranger(s.t, "strange", hosts[0].GetId())
	stranger := s.sent(attemptOn(hosts[0], "strange"))
	_, err = s.lxd.ComposeVM(s.ctx(), s.composeRequest(stranger))
	s.fault(err, errorinfo.Conflict, lxdprovisionerv1.Reason_REASON_NAME_TAKEN)
	_, err = s.lxd.DeployVM(s.ctx(), s.deployRequest(stranger))
	s.fault(err, errorinfo.Conflict, lxdprovisionerv1.Reason_REASON_NAME_TAKEN)
}

func (s *suite) composeRefused() {
	if s.BreakHost == nil {
		s.t.Skip("the harness can't silence a host")
	}
	attempt := s.attempt("cp-0")
	s.BreakHost(s.t, attempt.GetHostName())
	_, err := s.lxd.ComposeVM(s.ctx(), s.composeRequest(attempt))
	s.fault(err, errorinfo.Refused, lxdprovisionerv1.Reason_REASON_LXD_HOST_UNAVAILABLE)
	answer, err := s.lxd.SelectHost(s.ctx(), &lxdprovisionerv1.SelectHostRequest{
		VmName: "cp-1", Resources: small(), Placement: &lxdprovisionerv1.Placement{ExcludedHosts: []string{attempt.GetHostId()}},
	})
	chosen := ok(s, answer, err).GetChosen()
	_, vm := s.compose(&lxdprovisionerv1.Attempt{Number: 2, Name: "cp-1", HostId: chosen.GetHostId(), HostName: chosen.GetHostName()})
	s.checkf(vm.GetHostId() != attempt.GetHostId(), "R4.4: the next attempt is on another host")
	s.checkf(len(s.vms()) == 1, "there are %d VMs", len(s.vms()))
}

func (s *suite) composeInvalid() {
	compose := func(change func(*lxdprovisionerv1.ComposeVMRequest)) error {
		request := s.composeRequest(s.attempt("cp-0"))
		request.Network = &lxdprovisionerv1.VMNetwork{}
		change(request)
		_, err := s.lxd.ComposeVM(s.ctx(), request)
		return err
	}
	unknown := "no-such"
	s.fault(compose(func(r *lxdprovisionerv1.ComposeVMRequest) { r.Resources.MemoryMib = 100 }), errorinfo.Invalid, lxdprovisionerv1.Reason_REASON_BAD_RESOURCES)
	s.fault(compose(func(r *lxdprovisionerv1.ComposeVMRequest) {
		r.Network.Interfaces = []*lxdprovisionerv1.VMInterface{{Subnet: &unknown}}
	}), errorinfo.Invalid, lxdprovisionerv1.Reason_REASON_SUBNET_NOT_FOUND)
	static := func(ip *lxdprovisionerv1.StaticIP) error {
		return compose(func(r *lxdprovisionerv1.ComposeVMRequest) { r.Network.StaticIp = ip })
	}
	s.fault(static(&lxdprovisionerv1.StaticIP{Address: "203.0.113.9"}), errorinfo.Invalid, lxdprovisionerv1.Reason_REASON_SUBNET_NOT_FOUND)
	subnets, err := s.region.ListSubnets(s.ctx(), &lxdprovisionerv1.ListSubnetsRequest{})
	for _, subnet := range ok(s, subnets, err).GetSubnets() {
		if !strings.Contains(subnet.GetCidr(), ".") || subnet.GetGateway() == "" {
			continue
		}
		network, _, _ := strings.Cut(subnet.GetCidr(), "/")
		stranger := "203.0.113.1"
		inside := nthAddress(subnet.GetCidr(), 9)
		s.fault(static(&lxdprovisionerv1.StaticIP{Address: network}), errorinfo.Invalid, lxdprovisionerv1.Reason_REASON_STATIC_IP_INVALID)
		s.fault(static(&lxdprovisionerv1.StaticIP{Address: subnet.GetGateway()}), errorinfo.Invalid, lxdprovisionerv1.Reason_REASON_STATIC_IP_INVALID)
		s.fault(static(&lxdprovisionerv1.StaticIP{Address: inside, Gateway: &stranger}), errorinfo.Invalid, lxdprovisionerv1.Reason_REASON_STATIC_IP_GATEWAY_MISMATCH)
		s.fault(static(&lxdprovisionerv1.StaticIP{Address: inside, DnsServers: []string{stranger}}), errorinfo.Invalid, lxdprovisionerv1.Reason_REASON_STATIC_IP_DNS_MISMATCH)
	}
	s.checkf(len(s.vms()) == 0, "S4: nothing was made")
}

func (s *suite) deployVM() {
	attempt, vm := s.deployed("cp-0")
	s.checkf(vm.GetStatus().GetClaimed(), "the VM is claimed")
	answer, err := s.lxd.DeployVM(s.ctx(), s.deployRequest(attempt))
	s.checkf(ok(s, answer, err).GetVm().GetStatus().GetState() == stateDeployed, "a repeat answers the VM as it is")
}

func (s *suite) deployVMFaults() {
	absent := s.sent(s.attempt("absent"))
	absent.SentAt = timestamppb.New(s.Now().Add(-unknownFor - time.Second))
	_, err := s.lxd.DeployVM(s.ctx(), s.deployRequest(absent))
	s.fault(err, errorinfo.NotFound, lxdprovisionerv1.Reason_REASON_VM_NOT_FOUND)

	attempt, _ := s.composed("cp-0")
	request := s.deployRequest(attempt)
	request.Image = &lxdprovisionerv1.Image{Os: "ubuntu", Series: "no-such"}
	_, err = s.lxd.DeployVM(s.ctx(), request)
	s.fault(err, errorinfo.Invalid, lxdprovisionerv1.Reason_REASON_IMAGE_NOT_FOUND)

	request = s.deployRequest(attempt)
	request.UserData = make([]byte, maxUserData+1)
	_, err = s.lxd.DeployVM(s.ctx(), request)
	info := s.fault(err, errorinfo.Invalid, lxdprovisionerv1.Reason_REASON_BAD_USER_DATA)
	s.checkf(strings.Contains(info.Message, "2097152") || strings.Contains(info.Message, "2 MiB"), "the refusal names the limit: %q", info.Message)
}

func (s *suite) deployFailed() {
	if s.FailMachine == nil {
		s.t.Skip("the harness can't fail a deployment")
	}
	attempt, vm := s.composed("cp-0")
	s.FailMachine(s.t, vm.GetSystemId())
	s.until("the failed VM is deleted", func(ctx context.Context) (bool, error) {
		_, err := s.lxd.DeployVM(ctx, s.deployRequest(attempt))
		info, _ := errorinfo.From(err)
		if info.Kind == errorinfo.Refused {
			s.fault(err, errorinfo.Refused, lxdprovisionerv1.Reason_REASON_VM_DEPLOYMENT_FAILED)
			return true, nil
		}
		return false, err
	})
	s.deleted(attempt)
	s.checkf(len(s.vms()) == 0, "nothing is left of it")
}

func (s *suite) getVM() {
	attempt, vm := s.composed("cp-0")
	answer, err := s.lxd.GetVM(s.ctx(), &lxdprovisionerv1.GetVMRequest{Attempt: attempt})
	got := ok(s, answer, err).GetVm()
	s.checkf(got.GetSystemId() == vm.GetSystemId() && got.GetStatus().Claimed == nil, "without an owner the claim is not asked: %v", got.GetStatus())
	s.checkf(got.GetStatus().GetObservedAt().IsValid(), "the answer says when MAAS was asked")
	byName := proto.CloneOf(attempt)
	byName.SystemId = ""
	answer, err = s.lxd.GetVM(s.ctx(), &lxdprovisionerv1.GetVMRequest{Attempt: byName, Owner: ownerOf("cp-0")})
	got = ok(s, answer, err).GetVm()
	s.checkf(got.GetSystemId() == vm.GetSystemId() && got.GetStatus().GetClaimed(), "the VM is found by name, and the claim is ours: %v", got)

	absent := s.sent(attemptOn(s.host(attempt.GetHostId()), "absent"))
	_, err = s.lxd.GetVM(s.ctx(), &lxdprovisionerv1.GetVMRequest{Attempt: absent})
	s.fault(err, errorinfo.NotFound, lxdprovisionerv1.Reason_REASON_VM_NOT_FOUND)
	absent.HostName = "renamed"
	_, err = s.lxd.GetVM(s.ctx(), &lxdprovisionerv1.GetVMRequest{Attempt: absent})
	s.fault(err, errorinfo.Unavailable)
}

func (s *suite) listVMs() {
	for _, name := range []string{"cp-0", "cp-1", "cp-2"} {
		s.composed(name)
	}
	page, token, seen := int32(2), "", map[string]bool{}
	for range 3 {
		answer, err := s.lxd.ListVMs(s.ctx(), &lxdprovisionerv1.ListVMsRequest{PageSize: &page, PageToken: token})
		list := ok(s, answer, err)
		s.checkf(len(list.GetVms()) <= int(page), "a page has %d VMs", len(list.GetVms()))
		for _, vm := range list.GetVms() {
			s.checkf(!seen[vm.GetSystemId()], "VM %s is listed twice", vm.GetName())
			seen[vm.GetSystemId()] = true
		}
		if token = list.GetNextPageToken(); token == "" {
			break
		}
	}
	s.checkf(len(seen) == 3 && token == "", "the pages have %d VMs", len(seen))
	cluster, other := ownerOf("x").GetClusterId(), "another"
	answer, err := s.lxd.ListVMs(s.ctx(), &lxdprovisionerv1.ListVMsRequest{ClusterId: &cluster})
	s.checkf(len(ok(s, answer, err).GetVms()) == 3, "the cluster has %d VMs", len(answer.GetVms()))
	answer, err = s.lxd.ListVMs(s.ctx(), &lxdprovisionerv1.ListVMsRequest{ClusterId: &other})
	s.checkf(len(ok(s, answer, err).GetVms()) == 0, "another cluster has %d VMs", len(answer.GetVms()))
}

func (s *suite) deleteVM() {
	attempt, _ := s.deployed("cp-0")
	keep, _ := s.composed("cp-1")

	foreign := s.deleteRequest(keep)
	foreign.Owner = ownerOf("somebody")
	if _, err := s.lxd.DeleteVM(s.ctx(), foreign); err != nil {
		s.fault(err, errorinfo.Busy)
	}
	s.checkf(len(s.vms()) == 2, "a VM that is not the owner's is left alone")

	first := s.deleted(attempt)
	s.checkf(len(first.GetAbsences()) == 1 && first.GetAbsences()[0].GetName() == "cp-0", "one proof for each attempt: %v", first)
	s.checkf(first.GetAbsences()[0].GetProof() == lxdprovisionerv1.AbsenceProof_ABSENCE_PROOF_REFRESHED, "proof %v", first.GetAbsences()[0].GetProof())
	s.deleted(attempt)
	s.checkf(len(s.vms()) == 1, "only the other VM is left")
	_, err := s.lxd.GetVM(s.ctx(), &lxdprovisionerv1.GetVMRequest{Attempt: attempt})
	s.fault(err, errorinfo.NotFound, lxdprovisionerv1.Reason_REASON_VM_NOT_FOUND)

	never := s.deleted(s.attempt("never"))
	s.checkf(never.GetAbsences()[0].GetProof() == lxdprovisionerv1.AbsenceProof_ABSENCE_PROOF_NEVER_SENT, "an attempt that was not sent: %v", never)
}

func (s *suite) deleteLocked() {
	if s.LockMachine == nil {
		s.t.Skip("the harness can't lock a machine")
	}
	attempt, vm := s.deployed("cp-0")
	s.LockMachine(s.t, vm.GetSystemId(), true)
	_, err := s.lxd.DeleteVM(s.ctx(), s.deleteRequest(attempt))
	s.fault(err, errorinfo.Busy, lxdprovisionerv1.Reason_REASON_MACHINE_LOCKED)
	s.LockMachine(s.t, vm.GetSystemId(), false)
	s.deleted(attempt)
}
