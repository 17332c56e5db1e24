package maassim

import (
	"errors"
	"fmt"
	"strings"

	"github.com/capmaas/capmaas/services/maassim/internal/rest"
)

// UserConfig is a user with an API key. Several with one name are one user with several keys; the first says what the user may.
type UserConfig struct {
	Name, Email string
	Admin       bool
	// Inactive users have a valid key, and every request of theirs is refused.
	Inactive bool
	APIKey   string // consumer:token:secret
}

// people returns the users and their keys; the first is the administrator.
func (c Config) people() ([]*rest.User, []rest.Key, error) {
	all := append([]UserConfig{
		{Name: "admin", Email: "admin@example.com", Admin: true, APIKey: c.APIKey},
		{Name: "alice", Email: "alice@example.com", APIKey: c.UserAPIKey},
	}, c.Users...)
	var users []*rest.User
	var keys []rest.Key
	known := make(map[string]*rest.User)
	for _, u := range all {
		if u.Name == "" {
			return nil, nil, errors.New("a user needs a name")
		}
		key, err := parseKey(u.APIKey)
		if err != nil {
			return nil, nil, fmt.Errorf("user %s: %w", u.Name, err)
		}
		if known[u.Name] == nil {
			known[u.Name] = &rest.User{ID: len(users) + 1, Name: u.Name, Email: u.Email, Admin: u.Admin, Inactive: u.Inactive}
			users = append(users, known[u.Name])
		}
		key.User = known[u.Name]
		keys = append(keys, key)
	}
	return users, keys, nil
}

// parseKey reads consumer:token:secret.
func parseKey(text string) (rest.Key, error) {
	parts := strings.Split(text, ":")
	if len(parts) != 3 || parts[0] == "" || parts[1] == "" || parts[2] == "" {
		return rest.Key{}, errors.New("API key: want consumer:token:secret")
	}
	return rest.Key{Consumer: parts[0], Token: parts[1], Secret: parts[2]}, nil
}
