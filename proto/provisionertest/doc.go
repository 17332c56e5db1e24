// Package provisionertest holds what tests of both sides of the contract share.
//
// Fake is an in-memory server of the three services. It keeps what the comments of the .proto files
// promise, moves machines through their states after settable times or on Advance, and fails where
// a test says so:
//
//	fake := provisionertest.New(provisionertest.Config{})
//	conn := fake.Dial(t)
//	fake.FailNext("ComposeVM", provisionertest.Fault(errorinfo.Refused, lxdprovisionerv1.Reason_REASON_LXD_HOST_UNAVAILABLE, "lxd-01 is down"))
//	...
//	require.Len(t, fake.VMs(), 1)
//
// RunContract is one suite for every server of the contract, over a real connection: the fake and
// the real service both pass it, so that tests built on the fake say something about the service.
package provisionertest
