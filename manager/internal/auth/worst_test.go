package auth_test

import (
	"fmt"
	"testing"

	"discordcloud/pkg/cloud"
)

func TestWorstPasswords(t *testing.T) {
	w := open(t)
	w.first(t)
	_, ada := w.signIn(t, "ada")
	for _, bad := range []string{"password", "PassWord", "12345678", "iloveyou", "aaaaaaaaaaaa", "ääääääää", "        "} {
		_, err := w.CreateUser(t.Context(), ada, "bob", bad, false)
		mustBe(t, err, cloud.ErrInvalid)
		_, err = w.ChangePassword(t.Context(), "ada", password, bad, home)
		mustBe(t, err, cloud.ErrInvalid)
	}
	for n, good := range []string{"password of mine", "aaaaaaab", "# The passwords of 8 characters"} {
		_, err := w.CreateUser(t.Context(), ada, fmt.Sprint("bob", n), good, false)
		mustBe(t, err, nil)
	}
}
