package metatest

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

var peers = []testcase{
	{"leases change hands with their managers", func(f *fixture) {
		f.ok(f.JoinManagers(f.ctx, "a", "keys"))
		f.ok(f.JoinManagers(f.ctx, "b", "keys"))
		f.is(f.JoinManagers(f.ctx, "c", "others"), cloud.ErrInvalid)
		first, err := f.TakeLease(f.ctx, "job", "a")
		f.ok(err)
		again, err := f.TakeLease(f.ctx, "job", "a")
		f.ok(err)
		if again != first {
			f.Errorf("taken again: %+v, want %+v", again, first)
		}
		_, err = f.TakeLease(f.ctx, "job", "b")
		f.is(err, cloud.ErrExists)
		_, err = f.TakeLease(f.ctx, "job", "stranger")
		f.is(err, cloud.ErrNotFound)

		under := meta.UnderLease(f.ctx, first)
		f.ok(f.SetJobState(under, "job", "first"))
		beats, err := f.Beat(f.ctx, "a")
		f.ok(err)
		if removed, err := f.RemoveManager(f.ctx, "a", beats["a"]-1); removed || err != nil {
			f.Errorf("one who has beaten since is removed: %v, %v", removed, err)
		}
		if removed, err := f.RemoveManager(f.ctx, "a", beats["a"]); !removed || err != nil {
			f.Errorf("RemoveManager = %v, %v", removed, err)
		}
		_, err = f.Beat(f.ctx, "a")
		f.is(err, cloud.ErrNotFound)
		second, err := f.TakeLease(f.ctx, "job", "b")
		f.ok(err)
		if second.Epoch <= first.Epoch {
			f.Errorf("epoch %d after %d", second.Epoch, first.Epoch)
		}
		// The first comes back late, and joins again.
		f.is(f.SetJobState(under, "job", "late"), cloud.ErrUnavailable)
		f.ok(f.JoinManagers(f.ctx, "a", "keys"))
		f.is(f.SetJobState(under, "job", "late"), cloud.ErrUnavailable)
		f.ok(f.SetJobState(meta.UnderLease(f.ctx, second), "job", "second"))
		if j, err := f.Job(f.ctx, "job"); err != nil || j.State != "second" {
			f.Errorf("the job has %+v, %v", j, err)
		}
	}},
	{"one of many gets a lease", func(f *fixture) {
		const n = 8
		got := make(chan string, n)
		var work sync.WaitGroup
		for i := range n {
			id := fmt.Sprint(i)
			f.ok(f.JoinManagers(f.ctx, id, ""))
			work.Go(func() {
				_, err := f.TakeLease(f.ctx, "job", id)
				switch {
				case err == nil:
					got <- id
				case !errors.Is(err, cloud.ErrExists):
					f.Errorf("TakeLease = %v", err)
				}
			})
		}
		work.Wait()
		if len(got) != 1 {
			f.Errorf("%d managers have it", len(got))
		}
	}},
	{"news keep their order and have no gaps", func(f *fixture) {
		const writers, each = 4, 12
		seen := make(chan []meta.News)
		go func() {
			var all []meta.News
			for deadline := time.Now().Add(time.Minute); len(all) < writers*each*2 && time.Now().Before(deadline); {
				last := int64(0)
				if len(all) > 0 {
					last = all[len(all)-1].ID
				}
				more, err := f.NewsAfter(f.ctx, last, 5)
				if err != nil {
					f.Errorf("NewsAfter = %v", err)
					break
				}
				all = append(all, more...)
			}
			seen <- all
		}()
		var work sync.WaitGroup
		for w := range writers {
			work.Go(func() {
				for i := range each {
					if err := f.AddNews(f.ctx, fmt.Sprint(w), []string{fmt.Sprint(2 * i), fmt.Sprint(2*i + 1)}); err != nil {
						f.Errorf("AddNews = %v", err)
					}
				}
			})
		}
		work.Wait()
		all := <-seen
		next := map[string]int{}
		for i, n := range all {
			if n.ID != int64(i+1) || n.Payload != fmt.Sprint(next[n.Manager]) {
				f.Fatalf("news %d is %+v, want what its writer said as number %d", i+1, n, next[n.Manager])
			}
			next[n.Manager]++
		}
		if last, err := f.LastNews(f.ctx); err != nil || int(last) != len(all) || len(all) != 2*writers*each {
			f.Errorf("%d news, last %d, %v", len(all), last, err)
		}
		f.ok(f.ForgetNews(f.ctx, time.Now().Add(time.Hour)))
		if rest, err := f.NewsAfter(f.ctx, 0, 10); err != nil || len(rest) != 0 {
			f.Errorf("forgotten: %+v, %v", rest, err)
		}
		f.ok(f.AddNews(f.ctx, "w", []string{"more"}))
		if rest, err := f.NewsAfter(f.ctx, 0, 10); err != nil || len(rest) != 1 || rest[0].ID != int64(len(all)+1) {
			f.Errorf("after forgetting: %+v, %v", rest, err)
		}
	}},
}

var guesses = []testcase{
	{"attempts wait", func(f *fixture) {
		now := time.Unix(1_800_000_000, 0)
		few := meta.Attempts{Name: "few", Burst: 2, Base: time.Minute, Most: 3 * time.Minute}
		many := meta.Attempts{Name: "many", Burst: 100, Base: time.Minute, Most: time.Minute}
		take := func(wait time.Duration, index int) {
			f.Helper()
			got, at, err := f.TakeAttempts(f.ctx, now, many, few)
			f.ok(err)
			if got != wait || wait > 0 && at != index {
				f.Errorf("wait %v of %d, want %v of %d", got, at, wait, index)
			}
		}
		take(0, 0)
		take(0, 0)
		take(time.Minute, 1)
		now = now.Add(time.Minute)
		take(0, 0)
		take(2*time.Minute, 1)
		now = now.Add(2 * time.Minute)
		take(0, 0)
		take(3*time.Minute, 1) // the most
		f.ok(f.GiveBackAttempts(f.ctx, few, few, few))
		take(0, 0)
		f.ok(f.ClearAttempts(f.ctx, "few"))
		take(0, 0)
		take(0, 0)
		now = now.Add(2 * time.Minute) // forgotten
		f.ok(f.ExpireAttempts(f.ctx, now))
		take(0, 0)
		take(0, 0)
		take(time.Minute, 1)

		f.ok(f.MarkAttempt(f.ctx, "known", now.Add(time.Hour)))
		for at, want := range map[time.Duration]bool{time.Minute: true, 2 * time.Hour: false} {
			if is, err := f.Marked(f.ctx, "known", now.Add(at)); err != nil || is != want {
				f.Errorf("marked after %v: %v, %v", at, is, err)
			}
		}
	}},
	{"many at once", func(f *fixture) {
		now := time.Unix(1_800_000_000, 0)
		a, b := meta.Attempts{Name: "a", Burst: 5, Base: time.Minute, Most: time.Minute}, meta.Attempts{Name: "b", Burst: 9, Base: time.Minute, Most: time.Minute}
		free := make(chan bool, 20)
		var work sync.WaitGroup
		for i := range cap(free) {
			all := []meta.Attempts{a, b}
			if i%2 == 0 {
				all = []meta.Attempts{b, a}
			}
			work.Go(func() {
				wait, _, err := f.TakeAttempts(f.ctx, now, all...)
				if err != nil {
					f.Errorf("TakeAttempts = %v", err)
				}
				if wait == 0 {
					free <- true
				}
			})
		}
		work.Wait()
		if len(free) != 5 {
			f.Errorf("%d attempts were free, want 5", len(free))
		}
	}},
}

var tickets = []testcase{
	{"tickets", func(f *fixture) {
		now := time.Unix(1_800_000_000, 0)
		ticket := func(n byte) meta.Ticket {
			return meta.Ticket{Sum: cloud.Sum{n}, Purpose: "download", User: 3, Session: "s", Entry: 7, ExpiresAt: now.Add(time.Minute)}
		}
		use := func(n byte, purpose string, after time.Duration, once bool, kind error) {
			f.Helper()
			t, err := f.UseTicket(f.ctx, cloud.Sum{n}, purpose, now.Add(after), once, now.Add(12*time.Hour))
			f.is(err, kind)
			if err == nil && (t.User != 3 || t.Session != "s" || t.Entry != 7) {
				f.Errorf("ticket %+v", t)
			}
		}
		f.ok(f.AddTicket(f.ctx, ticket(1), now, 3))
		f.ok(f.AddTicket(f.ctx, ticket(2), now, 3))
		f.ok(f.AddTicket(f.ctx, ticket(3), now, 3))
		f.is(f.AddTicket(f.ctx, ticket(4), now, 3), cloud.ErrLimited)
		use(1, "socket", 0, false, cloud.ErrNotFound)
		use(1, "download", 0, false, nil)
		use(1, "download", 11*time.Hour, false, nil)
		use(1, "download", 12*time.Hour, false, cloud.ErrNotFound)
		use(2, "download", time.Minute, false, cloud.ErrNotFound)
		use(2, "download", 0, true, nil)
		use(2, "download", 0, true, cloud.ErrNotFound)
		f.ok(f.AddTicket(f.ctx, ticket(4), now, 3))
		f.ok(f.AddTicket(f.ctx, ticket(5), now, 3)) // for the first, which was used
		use(1, "download", 0, false, cloud.ErrNotFound)
		f.ok(f.ExpireTickets(f.ctx, now.Add(2*time.Minute)))
		use(5, "download", 0, false, cloud.ErrNotFound)
	}},
	{"a socket's ticket is used once", func(f *fixture) {
		now := time.Unix(1_800_000_000, 0)
		f.ok(f.AddTicket(f.ctx, meta.Ticket{Sum: cloud.Sum{1}, Purpose: "socket", Session: "s", ExpiresAt: now.Add(time.Minute)}, now, 9))
		used := make(chan bool, 8)
		var work sync.WaitGroup
		for range cap(used) {
			work.Go(func() {
				if _, err := f.UseTicket(f.ctx, cloud.Sum{1}, "socket", now, true, now); err == nil {
					used <- true
				}
			})
		}
		work.Wait()
		if len(used) != 1 {
			f.Errorf("used %d times", len(used))
		}
	}},
}
