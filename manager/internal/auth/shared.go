package auth

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"time"

	"discordcloud/manager/internal/meta"
)

// sharing has limits counted with other managers. Without the database they count
// by themselves.
type sharing struct {
	store meta.Guesses
	log   *slog.Logger
}

// sharingTime bounds what the database may take.
const sharingTime = 5 * time.Second

func (s *sharing) context() (context.Context, context.CancelFunc) {
	// What was counted stays so, whether its peer waits for the answer or not.
	return context.WithTimeout(context.Background(), sharingTime)
}

// share has all limits counted with other managers.
func (l *limits) share(with *sharing) {
	l.shared = with
	for name, one := range map[string]*limit{
		"pair": l.pair, "account": l.account, "network": l.network, "register": l.register, "app": l.app, "code": l.code,
		"redeem": l.redeem, "ask": l.ask, "asked": l.asked, "sign-on": l.signOn,
	} {
		one.shared, one.name = with, name
	}
}

// of is what a key of a limit is counted as: a digest, since people type passwords
// where names belong.
func (l *limit) of(key string) meta.Attempts {
	return meta.Attempts{Name: digest(l.name + "\n" + key), Burst: l.Burst, Base: l.Base, Most: l.Most}
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// take is limit's, with others; an error means that it is not known.
func (s *sharing) take(l *limit, key string, now time.Time) (wait time.Duration, ok bool, err error) {
	ctx, cancel := s.context()
	defer cancel()
	wait, _, err = s.store.TakeAttempts(ctx, now, l.of(key))
	s.note(err)
	return wait, wait == 0, err
}

func (s *sharing) clear(l *limit, key string) {
	ctx, cancel := s.context()
	defer cancel()
	s.note(s.store.ClearAttempts(ctx, l.of(key).Name))
}

func (s *sharing) giveBack(l *limit, key string) {
	ctx, cancel := s.context()
	defer cancel()
	s.note(s.store.GiveBackAttempts(ctx, l.of(key)))
}

// mark and marked remember where a password was given rightly.
func (s *sharing) mark(pair string, until time.Time) {
	ctx, cancel := s.context()
	defer cancel()
	s.note(s.store.MarkAttempt(ctx, digest("known\n"+pair), until))
}

func (s *sharing) marked(pair string, now time.Time) bool {
	ctx, cancel := s.context()
	defer cancel()
	is, err := s.store.Marked(ctx, digest("known\n"+pair), now)
	s.note(err)
	return is
}

func (s *sharing) note(err error) {
	if err != nil {
		s.log.Warn("attempts not counted with other managers", "err", err)
	}
}
