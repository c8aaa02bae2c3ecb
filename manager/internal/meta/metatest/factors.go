package metatest

import (
	"errors"
	"sync"
	"time"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

func passkey(user cloud.UserID, n byte) meta.Passkey {
	return meta.Passkey{User: user, Credential: []byte{n, 1}, Handle: []byte{byte(user), 9}, RP: "cloud.example", Name: "phone", Record: []byte(`{}`), CreatedAt: at(int(n))}
}

// winners runs f n times at once, and tells how many got nil; the others must
// have got the kind.
func winners(f *fixture, n int, kind error, call func() error) (won int) {
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() { errs[i] = call() })
	}
	all.Wait()
	for _, err := range errs {
		switch {
		case err == nil:
			won++
		case !errors.Is(err, kind):
			f.Errorf("one of many at once: %v, want %v", err, kind)
		}
	}
	return won
}

var factors = []testcase{
	{"none", func(f *fixture) {
		ann := f.user("ann")
		f.same("set", must(f.Factors(f.ctx, ann))(f), meta.FactorSet{})
		f.same("any", meta.FactorSet{Codes: 3}.Any(), false)
		f.is(f.UseTOTP(f.ctx, ann, 1), cloud.ErrNotFound)
		f.is(f.DeleteTOTP(f.ctx, ann), cloud.ErrNotFound)
		f.is(f.DeletePasskey(f.ctx, ann, 1), cloud.ErrNotFound)
		f.is(f.RenamePasskey(f.ctx, ann, 1, "x"), cloud.ErrNotFound)
		f.is(f.UsePasskey(f.ctx, meta.Passkey{ID: 1}), cloud.ErrNotFound)
		f.is(f.SetRecoveryCodes(f.ctx, ann, []cloud.Sum{{1}}), cloud.ErrNotFound)
		f.is(f.UseRecoveryCode(f.ctx, ann, cloud.Sum{1}), cloud.ErrNotFound)
		f.is(f.ResetFactors(f.ctx, ann), cloud.ErrNotFound)
		_, _, err := f.Passkey(f.ctx, []byte{1})
		f.is(err, cloud.ErrNotFound)
		_, err = f.SetTOTP(f.ctx, 99, meta.TOTP{Sealed: []byte{1}}, nil)
		f.is(err, cloud.ErrNotFound)
		_, _, err = f.AddPasskey(f.ctx, passkey(99, 1), nil)
		f.is(err, cloud.ErrNotFound)
	}},
	{"codes of one time", func(f *fixture) {
		ann, bob := f.user("ann"), f.user("bob")
		f.same("first", must(f.SetTOTP(f.ctx, ann, meta.TOTP{Sealed: []byte{1}, Step: 5, CreatedAt: at(0)}, []cloud.Sum{{1}, {2}}))(f), true)
		f.same("second", must(f.SetTOTP(f.ctx, ann, meta.TOTP{Sealed: []byte{2}, Step: 7, CreatedAt: at(1)}, []cloud.Sum{{3}}))(f), false)
		f.same("set", must(f.Factors(f.ctx, ann))(f), meta.FactorSet{TOTP: &meta.TOTP{Sealed: []byte{2}, Step: 7, CreatedAt: at(1)}, Codes: 2})
		f.is(f.UseTOTP(f.ctx, ann, 7), cloud.ErrNotFound)
		f.is(f.UseTOTP(f.ctx, ann, 6), cloud.ErrNotFound)
		f.is(f.UseTOTP(f.ctx, bob, 8), cloud.ErrNotFound)
		f.same("who used step 8", winners(f, 8, cloud.ErrNotFound, func() error { return f.UseTOTP(f.ctx, ann, 8) }), 1)
		f.reopen()
		f.is(f.UseTOTP(f.ctx, ann, 8), cloud.ErrNotFound)
		f.ok(f.UseTOTP(f.ctx, ann, 9))
		f.ok(f.DeleteTOTP(f.ctx, ann))
		f.same("after all", must(f.Factors(f.ctx, ann))(f), meta.FactorSet{})
	}},
	{"passkeys", func(f *fixture) {
		must(f.CreateUser(f.ctx, "root", "phc", true, true))(f)
		ann, bob := f.user("ann"), f.user("bob")
		one, first, err := f.AddPasskey(f.ctx, passkey(ann, 1), []cloud.Sum{{1}})
		f.ok(err)
		f.same("codes taken", first, true)
		two, first, err := f.AddPasskey(f.ctx, passkey(ann, 2), []cloud.Sum{{2}})
		f.ok(err)
		f.same("codes taken again", first, false)
		_, _, err = f.AddPasskey(f.ctx, passkey(bob, 1), []cloud.Sum{{3}})
		f.is(err, cloud.ErrExists)
		f.same("bob", must(f.Factors(f.ctx, bob))(f), meta.FactorSet{})
		f.same("set", must(f.Factors(f.ctx, ann))(f), meta.FactorSet{Passkeys: []meta.Passkey{one, two}, Codes: 1})

		f.is(f.RenamePasskey(f.ctx, bob, one.ID, "mine"), cloud.ErrNotFound)
		f.ok(f.RenamePasskey(f.ctx, ann, one.ID, "key ring"))
		use := func(count int64, second int) error {
			p := one
			p.SignCount, p.UsedAt, p.Record = count, at(second), []byte(`{"n":1}`)
			return f.UsePasskey(f.ctx, p)
		}
		f.ok(use(0, 3)) // it does not count
		f.ok(use(0, 4))
		f.ok(use(4, 5))
		f.is(use(4, 6), cloud.ErrNotFound)
		f.is(use(0, 6), cloud.ErrNotFound)
		f.same("who counted to 5", winners(f, 8, cloud.ErrNotFound, func() error { return use(5, 7) }), 1)
		one.Name, one.SignCount, one.UsedAt, one.Record = "key ring", 5, at(7), []byte(`{"n":1}`)
		got, user, err := f.Passkey(f.ctx, one.Credential)
		f.ok(err)
		f.same("found", got, one)
		f.same("user", user.Name, "ann")
		must(f.SetDisabled(f.ctx, ann, true))(f)
		_, _, err = f.Passkey(f.ctx, one.Credential)
		f.is(err, cloud.ErrNotFound)
		must(f.SetDisabled(f.ctx, ann, false))(f)

		f.is(f.DeletePasskey(f.ctx, bob, one.ID), cloud.ErrNotFound)
		f.ok(f.DeletePasskey(f.ctx, ann, one.ID))
		f.same("codes with one left", must(f.Factors(f.ctx, ann))(f).Codes, 1)
		f.ok(f.DeletePasskey(f.ctx, ann, two.ID))
		f.same("codes with none left", must(f.Factors(f.ctx, ann))(f), meta.FactorSet{})
	}},
	{"recovery codes", func(f *fixture) {
		ann, bob := f.user("ann"), f.user("bob")
		must(f.SetTOTP(f.ctx, ann, meta.TOTP{Sealed: []byte{1}}, []cloud.Sum{{1}, {2}}))(f)
		f.is(f.UseRecoveryCode(f.ctx, bob, cloud.Sum{1}), cloud.ErrNotFound)
		f.same("who used the first", winners(f, 8, cloud.ErrNotFound, func() error { return f.UseRecoveryCode(f.ctx, ann, cloud.Sum{1}) }), 1)
		f.same("left", must(f.Factors(f.ctx, ann))(f).Codes, 1)
		f.ok(f.SetRecoveryCodes(f.ctx, ann, []cloud.Sum{{4}, {5}, {6}}))
		f.is(f.UseRecoveryCode(f.ctx, ann, cloud.Sum{2}), cloud.ErrNotFound)
		for n := byte(4); n <= 6; n++ {
			f.ok(f.UseRecoveryCode(f.ctx, ann, cloud.Sum{n}))
		}
		_, first, err := f.AddPasskey(f.ctx, passkey(ann, 1), []cloud.Sum{{7}})
		f.ok(err)
		f.same("new ones where all were used", first, true)
	}},
	{"reset, and deleted with the user", func(f *fixture) {
		root := must(f.CreateUser(f.ctx, "root", "phc", true, true))(f).ID
		ann := f.user("ann")
		for range 2 {
			must(f.SetTOTP(f.ctx, ann, meta.TOTP{Sealed: []byte{1}}, []cloud.Sum{{1}}))(f)
			_, _, err := f.AddPasskey(f.ctx, passkey(ann, 1), nil)
			f.ok(err)
			f.ok(f.ResetFactors(f.ctx, ann))
			f.same("reset", must(f.Factors(f.ctx, ann))(f), meta.FactorSet{})
		}
		must(f.SetTOTP(f.ctx, ann, meta.TOTP{Sealed: []byte{1}}, []cloud.Sum{{1}}))(f)
		_, _, err := f.AddPasskey(f.ctx, passkey(ann, 1), nil)
		f.ok(err)
		must(f.DeleteUser(f.ctx, ann, root, false))(f)
		f.same("deleted", must(f.Factors(f.ctx, ann))(f), meta.FactorSet{})
		_, _, err = f.AddPasskey(f.ctx, passkey(root, 1), nil) // the credential is free again
		f.ok(err)
	}},
	{"challenges are spent once", func(f *fixture) {
		f.same("who spent it", winners(f, 8, cloud.ErrExists, func() error { return f.SpendChallenge(f.ctx, cloud.Sum{1}, at(9)) }), 1)
		f.ok(f.SpendChallenge(f.ctx, cloud.Sum{2}, at(10)))
		f.reopen()
		f.ok(f.ExpireChallenges(f.ctx, at(9)))
		f.is(f.SpendChallenge(f.ctx, cloud.Sum{2}, at(10)), cloud.ErrExists)
		f.ok(f.SpendChallenge(f.ctx, cloud.Sum{1}, at(9).Add(time.Hour)))
	}},
}
