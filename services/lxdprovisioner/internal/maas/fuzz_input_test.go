package maas_test

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/fault"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/inventory"
	"github.com/capmaas/capmaas/services/lxdprovisioner/internal/maas"
)

// These fuzz tests give the client what people and callers name: files, ids and URLs.

func FuzzKeyFile(f *testing.F) {
	for _, content := range []string{testKey, testKey + "\n", "", "a:b", "a:b:c:d", "::", "a b:c:d", "a:b:\xff", strings.Repeat("x", 2000), "a:b:c\nd:e:f"} {
		f.Add([]byte(content))
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, content []byte) {
		file := filepath.Join(dir, "key")
		require.NoError(t, os.WriteFile(file, content, 0o600))
		c, err := maas.New(maas.Config{URL: "http://127.0.0.1:1", Credentials: maas.KeyFile(file), Clock: time.Now})
		if err != nil {
			for part := range strings.FieldsFuncSeq(string(content), func(r rune) bool { return r == ':' || r <= ' ' }) {
				// A part that is a word of the sentence anyway gives nothing away.
				require.False(t, len(part) > 16 && strings.Contains(err.Error(), part), "%v", err)
			}
			return
		}
		c.Close()
		require.Len(t, strings.Split(strings.TrimSpace(string(content)), ":"), 3)
	})
}

// FuzzIDs gives ids of every kind; what is no id is never sent, and what is sent asks for that id.
func FuzzIDs(f *testing.F) {
	for _, id := range []string{"abc123", "", "..", "../x", "a/b", "vmhost/1", "vmhost/01", "vmhost/../x", "ABC", "%2e%2e", "abc?op=x", "абв"} {
		f.Add(id)
	}
	z := newFuzzed(f)
	z.next = answer{status: http.StatusBadRequest}
	f.Fuzz(func(t *testing.T, id string) {
		z.asked = ""
		_, err := z.Machine(t.Context(), id)
		require.Error(t, err)
		require.Equal(t, systemID.MatchString(id), z.asked == "/MAAS/api/2.0/machines/"+id+"/", "%q asked for %q", id, z.asked)
		require.True(t, z.asked != "" || fault.Is(err, fault.Invalid))
		z.asked = ""
		_, err = z.VMHost(t.Context(), inventory.HostID(id))
		require.Error(t, err)
		number, isHost := strings.CutPrefix(id, "vmhost/")
		if z.asked != "" {
			require.True(t, isHost)
			require.Equal(t, "/MAAS/api/2.0/vm-hosts/"+number+"/", z.asked)
		}
	})
}

func FuzzURL(f *testing.F) {
	for _, text := range []string{
		"http://maas:5240/MAAS", "https://maas", "https://u:hunter2hunter2@maas/", "https://u:hunter2hunter2@maas:x/", "maas", "", "http://[::1",
		"http://maas/MAAS/api/2.0/", "http://maas/?x", "http://maas/%zz", testKey, "http:" + testKey, "hunter2hunter2",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := maas.New(maas.Config{URL: text, Credentials: maas.StaticKey(testKey), Clock: time.Now})
		parsed, broken := url.Parse(text)
		if err == nil {
			c.Close()
			require.NoError(t, broken)
			require.Nil(t, parsed.User)
			require.Contains(t, []string{"http", "https"}, parsed.Scheme)
			require.NotEmpty(t, parsed.Host)
			return
		}
		require.NotContains(t, err.Error(), "hunter2hunter2")
		require.NotContains(t, err.Error(), secret)
	})
}
