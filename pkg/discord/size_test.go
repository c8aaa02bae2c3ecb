package discord_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"discordcloud/pkg/cloud"
	"discordcloud/pkg/discord"
)

// What Discord refused is not offered to it again for an hour, and then by the
// next one that has something that large.
func TestPost_LimitIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limit, refused := 8<<20, 0
		c := newClient(t, func(r *http.Request) (*http.Response, error) {
			p, err := readPost(r)
			if err != nil {
				t.Error(err)
			}
			if len(p.files[0]) > limit {
				refused++
				return respond(413, `{"code": 40005, "message": "Request entity too large"}`)
			}
			return respond(200, encode(p.message("7", "55")))
		})
		post := func(n int) error {
			_, err := c.Post(t.Context(), "7", bodies(make([]byte, n)))
			return err
		}
		for range 5 {
			if err := post(10 << 20); !errors.Is(err, cloud.ErrTooLarge) {
				t.Fatalf("Post = %v, want ErrTooLarge", err)
			}
		}
		if got := c.Limits().Attachment; got != 8<<20 || refused != 1 {
			t.Errorf("limit %d after %d refusals, want 8 MiB after one", got, refused)
		}
		time.Sleep(59 * time.Minute)
		if got := c.Limits().Attachment; got != 8<<20 {
			t.Errorf("limit %d before the hour is over", got)
		}
		time.Sleep(time.Minute)
		if err := post(10 << 20); !errors.Is(err, cloud.ErrTooLarge) || refused != 2 {
			t.Errorf("Post = %v after %d refusals, want one more", err, refused)
		}
		limit = 10 << 20
		time.Sleep(time.Hour)
		if err := post(10 << 20); err != nil || c.Limits().Attachment != 10<<20 {
			t.Errorf("Post = %v, limit %d, want it raised again", err, c.Limits().Attachment)
		}

		c.SetAttachmentLimit(20 << 20)
		limit = 20 << 20
		if err := post(20 << 20); err != nil {
			t.Errorf("Post under a raised limit: %v", err)
		}
		limit = 4 << 20
		if err := post(20 << 20); !errors.Is(err, cloud.ErrTooLarge) {
			t.Errorf("Post = %v, want ErrTooLarge", err)
		}
		c.SetAttachmentLimit(20 << 20)
		if got := c.Limits().Attachment; got != 10<<20 {
			t.Errorf("limit %d: setting it forgot what Discord refused", got)
		}
	})
}

// The limit follows the boosts of the least of the guilds, as far as asked for.
func TestPool_Follow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tier atomic.Int64
		var down atomic.Bool
		f := transport(func(r *http.Request) (*http.Response, error) {
			_, id, _ := strings.Cut(r.URL.Path, "/v10/")
			switch {
			case down.Load():
				return respond(403, `{"code": 50001}`)
			case strings.HasPrefix(id, "channels/"):
				return respond(200, fmt.Sprintf(`{"id": "1", "guild_id": "9%s"}`, id[len(id)-1:]))
			case id == "guilds/91":
				return respond(200, `{"id": "91", "premium_tier": 3}`)
			default:
				return respond(200, fmt.Sprintf(`{"id": "92", "premium_tier": %d}`, tier.Load()))
			}
		})
		p, err := discord.OpenPool(discord.Options{Transport: f, Log: slog.New(slog.DiscardHandler)}, token, token+"2")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		ended := make(chan error)
		go func() { ended <- p.Follow(ctx, []string{"11", "21", "12"}, 60<<20) }()
		for _, step := range []struct {
			tier int64
			down bool
			want int64
		}{{0, false, 10 << 20}, {2, false, 50 << 20}, {3, false, 60 << 20}, {3, true, 60 << 20}, {1, false, 10 << 20}} {
			tier.Store(step.tier)
			down.Store(step.down)
			time.Sleep(time.Hour + time.Second)
			synctest.Wait()
			if got := p.Limits().Attachment; got != step.want {
				t.Errorf("tier %d, down %t: limit %d, want %d", step.tier, step.down, got, step.want)
			}
		}
		cancel(cloud.ErrShutdown)
		if err := <-ended; !errors.Is(err, cloud.ErrShutdown) {
			t.Errorf("Follow = %v, want the cause", err)
		}
	})
}

func TestOpenPool_Tokens(t *testing.T) {
	for _, list := range []string{"", " , ", "a.b.c,a.b.c", "a.b.c,Bot x.y.z"} {
		if _, err := discord.OpenPool(discord.Options{}, discord.ParseTokens(list)...); !errors.Is(err, cloud.ErrInvalid) {
			t.Errorf("OpenPool(%q) = %v, want ErrInvalid", list, err)
		} else if strings.Contains(err.Error(), "x.y.z") || strings.Contains(err.Error(), "a.b.c") {
			t.Errorf("the error tells a token: %v", err)
		}
	}
	p, err := discord.OpenPool(discord.Options{}, discord.ParseTokens(" a.b.c, d.e.f ,")...)
	if err != nil || len(p.Clients()) != 2 {
		t.Errorf("OpenPool = %v, %v, want two clients", p, err)
	}
}

// What another client has found out is followed, and tried again as one's own is.
func TestClient_LimitFell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := discord.New(discord.Options{Token: "not-a-token", AttachmentLimit: 10 << 20, LimitRetry: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		expect := func(what string, want int64) {
			t.Helper()
			if got := c.Limits().Attachment; got != want {
				t.Errorf("%s: %d bytes, want %d", what, got, want)
			}
		}
		c.LimitFell(20 << 20)
		c.LimitFell(0)
		expect("nothing that is less", 10<<20)
		c.LimitFell(8 << 20)
		expect("less", 8<<20)
		c.LimitFell(9 << 20)
		expect("not as little", 8<<20)
		c.SetAttachmentLimit(20 << 20)
		expect("what is configured rises", 8<<20)
		time.Sleep(time.Hour)
		expect("after the time", 20<<20)
	})
}
