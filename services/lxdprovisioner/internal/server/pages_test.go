package server_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	lxdprovisionerv1 "github.com/capmaas/capmaas/proto/lxdprovisioner/v1"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/provision"
)

// manyHosts gives hosts by name, each of about a kilobyte.
func manyHosts(d *desk, n int) provision.HostList {
	hosts := make([]provision.HostView, n)
	for i := range hosts {
		h := d.hosts.Hosts[0]
		h.ID, h.Name = inventory.HostID(fmt.Sprintf("vmhost/%d", n-i)), fmt.Sprintf("hypervisor-with-a-long-name-%05d", i)
		h.Tags = slices.Repeat([]string{strings.Repeat("tag-", 8)}, 20)
		hosts[i] = h
	}
	return provision.HostList{Hosts: hosts}
}

// walk lists all hosts page by page, with the limits that a client has by default, and gives their names and
// how large the pages were.
func walk(t *testing.T, d *desk, size *int32) (names []string, pages []int) {
	t.Helper()
	client := lxdprovisionerv1.NewLXDProvisionerClient(dial(t, d))
	for token := ""; len(pages) == 0 || token != ""; {
		page, err := client.ListHosts(t.Context(), &lxdprovisionerv1.ListHostsRequest{PageSize: size, PageToken: token})
		require.NoError(t, err)
		require.NotEmpty(t, page.GetHosts(), "a page that is named has hosts")
		for _, h := range page.GetHosts() {
			names = append(names, h.GetName())
		}
		pages, token = append(pages, len(page.GetHosts())), page.GetNextPageToken()
	}
	return names, pages
}

func namesOf(hosts []provision.HostView) []string {
	var names []string
	for _, h := range hosts {
		names = append(names, h.Name)
	}
	return names
}

func TestListHosts_tells_ten_thousand_hosts_to_a_client_with_default_limits(t *testing.T) {
	t.Parallel()
	d := newDesk()
	d.hosts = manyHosts(d, 10000)
	for name, size := range map[string]*int32{"without_a_page_size": nil, "by_the_thousand": new(int32(1000))} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			names, pages := walk(t, d, size)
			assert.Equal(t, namesOf(d.hosts.Hosts), names, "every host once, by name")
			assert.Greater(t, len(pages), 1)
			if size != nil {
				assert.Equal(t, slices.Repeat([]int{1000}, 10), pages)
			}
		})
	}
}

func TestListHosts_cuts_a_page_that_would_be_too_large(t *testing.T) {
	t.Parallel()
	d := newDesk()
	d.hosts = manyHosts(d, 9)
	for i := range d.hosts.Hosts {
		d.hosts.Hosts[i].Tags = []string{strings.Repeat("x", 1<<20)}
	}
	d.hosts.Hosts[4].Tags = []string{strings.Repeat("x", 3<<20+1<<19)}
	names, pages := walk(t, d, new(int32(1000)))
	assert.Equal(t, namesOf(d.hosts.Hosts), names)
	assert.Equal(t, []int{2, 2, 1, 2, 2}, pages, "a host that is too large on its own comes alone")
}

func TestListHosts_answers_all_that_fits_to_a_caller_who_knows_of_no_pages(t *testing.T) {
	t.Parallel()
	d := newDesk()
	d.hosts = manyHosts(d, 3000)
	_, pages := walk(t, d, nil)
	assert.Equal(t, []int{3000}, pages)
}

func TestListHosts_goes_on_where_it_ended_although_hosts_come_and_go(t *testing.T) {
	t.Parallel()
	d := newDesk()
	d.hosts = manyHosts(d, 4)
	d.hosts.Hosts[1].Name = d.hosts.Hosts[0].Name
	slices.Reverse(d.hosts.Hosts[:2]) // of one name, in the order of their ids
	client := lxdprovisionerv1.NewLXDProvisionerClient(dial(t, d))
	list := func(token string) *lxdprovisionerv1.ListHostsResponse {
		answer, err := client.ListHosts(t.Context(), &lxdprovisionerv1.ListHostsRequest{PageSize: new(int32(1)), PageToken: token})
		require.NoError(t, err)
		require.Len(t, answer.GetHosts(), 1)
		return answer
	}
	all := slices.Clone(d.hosts.Hosts)
	first := list("")
	second := list(first.GetNextPageToken())
	assert.Equal(t, string(all[1].ID), second.GetHosts()[0].GetId(), "a name that two hosts have")
	d.hosts.Hosts = all[2:]
	third := list(second.GetNextPageToken())
	assert.Equal(t, string(all[2].ID), third.GetHosts()[0].GetId(), "the page before is gone")
	d.hosts.Hosts = all
	last := list(third.GetNextPageToken())
	assert.Equal(t, string(all[3].ID), last.GetHosts()[0].GetId())
	assert.Empty(t, last.GetNextPageToken())
}
