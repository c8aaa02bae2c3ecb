package sqlmeta

import (
	"context"
	"fmt"
	"strings"
	"time"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

var _ meta.Peers = (*Store)(nil)

// Sole implements meta.Peers.
func (s *Store) Sole() bool { return s.engine.sole() }

// JoinManagers implements meta.Peers.
func (s *Store) JoinManagers(ctx context.Context, id, keys string) error {
	err := s.update(ctx, func(tx querier) error {
		var strange int64
		if err := tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM managers WHERE id <> ? AND keys <> ?`, id, keys).Scan(&strange); err != nil {
			return err
		}
		if strange > 0 {
			return cloud.UserErrorf(cloud.ErrInvalid,
				"a manager with other secrets uses %s: PUBLIC_KEY and MESSAGE_ENCRYPTION_KEY must be the same for all", s.engine.name())
		}
		return exec(ctx, tx, `INSERT INTO managers (id, beat, keys, joined_at) VALUES (?, 0, ?, ?)
			ON CONFLICT (id) DO UPDATE SET beat = managers.beat + 1`, id, keys, s.stamp())
	})
	if err != nil {
		return fmt.Errorf("join the managers: %w", err)
	}
	return nil
}

// Beat implements meta.Peers.
func (s *Store) Beat(ctx context.Context, id string) (beats map[string]int64, err error) {
	err = s.amend(ctx, func(tx querier) (err error) {
		if err := one(changed(ctx, tx, `UPDATE managers SET beat = beat + 1 WHERE id = ?`, id)); err != nil {
			return err
		}
		beats, err = managers(ctx, tx)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("beat: %w", err)
	}
	return beats, nil
}

func managers(ctx context.Context, q querier) (map[string]int64, error) {
	beats := map[string]int64{}
	return beats, each(ctx, q, func(row scanner) error {
		var name string
		var beat int64
		err := row.Scan(&name, &beat)
		beats[name] = beat
		return err
	}, `SELECT id, beat FROM managers`)
}

// Managers implements meta.Peers.
func (s *Store) Managers(ctx context.Context) (beats map[string]int64, err error) {
	err = s.query(ctx, func(q querier) error {
		beats, err = managers(ctx, q)
		return err
	})
	return beats, err
}

// RemoveManager implements meta.Peers.
func (s *Store) RemoveManager(ctx context.Context, id string, beat int64) (removed bool, err error) {
	err = s.update(ctx, func(tx querier) error {
		n, err := changed(ctx, tx, `DELETE FROM managers WHERE id = ?1 AND (beat = ?2 OR ?2 < 0)`, id, beat)
		removed = n > 0
		if err != nil || !removed {
			return err
		}
		if err := exec(ctx, tx, `UPDATE leases SET manager = '' WHERE manager = ?`, id); err != nil {
			return err
		}
		return exec(ctx, tx, `UPDATE uploads SET manager = '' WHERE manager = ? AND state IN ('running', 'waiting')`, id)
	})
	if err != nil {
		return false, fmt.Errorf("remove manager: %w", err)
	}
	return removed, nil
}

// TakeLease implements meta.Peers. What is held already is only read.
func (s *Store) TakeLease(ctx context.Context, name, manager string) (meta.Lease, error) {
	l := meta.Lease{Name: name, Manager: manager}
	const look = `SELECT manager, epoch FROM leases WHERE name = ?`
	var holder string
	err := s.query(ctx, func(q querier) error {
		return notFound(q.QueryRowContext(ctx, look, name).Scan(&holder, &l.Epoch), "lease")
	})
	if err == nil && holder == manager {
		return l, nil
	}
	err = s.update(ctx, func(tx querier) error {
		var here int64
		if err := tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM managers WHERE id = ?`, manager).Scan(&here); err != nil {
			return err
		}
		if here == 0 {
			return fmt.Errorf("%w: manager %s has not joined", cloud.ErrNotFound, manager)
		}
		if err := exec(ctx, tx, `INSERT INTO leases (name, manager, epoch) VALUES (?, '', 0) ON CONFLICT (name) DO NOTHING`, name); err != nil {
			return err
		}
		n, err := changed(ctx, tx, `UPDATE leases SET manager = ?1, epoch = epoch + 1
			WHERE name = ?2 AND manager <> ?1 AND NOT EXISTS (SELECT 1 FROM managers m WHERE m.id = leases.manager)`, manager, name)
		if err != nil {
			return err
		}
		if err := tx.QueryRowContext(ctx, look, name).Scan(&holder, &l.Epoch); err != nil {
			return err
		}
		if n == 0 && holder != manager {
			return fmt.Errorf("%w: manager %s holds it", cloud.ErrExists, holder)
		}
		return nil
	})
	if err != nil {
		return meta.Lease{}, fmt.Errorf("take lease %s: %w", name, err)
	}
	return l, nil
}

// holding makes a change only under a lease that is held.
func holding(ctx context.Context, l meta.Lease, f func(tx querier) error) func(tx querier) error {
	return func(tx querier) error {
		var is bool
		if err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM leases WHERE name = ? AND manager = ? AND epoch = ?)`,
			l.Name, l.Manager, l.Epoch).Scan(&is); err != nil {
			return err
		}
		if !is {
			return fmt.Errorf("%w: another manager has the lease %s", cloud.ErrUnavailable, l.Name)
		}
		return f(tx)
	}
}

// AddNews implements meta.Peers.
func (s *Store) AddNews(ctx context.Context, manager string, payloads []string) error {
	err := s.amend(ctx, func(tx querier) error {
		var last int64
		if err := tx.QueryRowContext(ctx, `INSERT INTO news_head (id, last) VALUES (1, ?) ON CONFLICT (id)
			DO UPDATE SET last = news_head.last + excluded.last RETURNING last`, len(payloads)).Scan(&last); err != nil {
			return err
		}
		now := s.stamp()
		args := make([]any, 0, 4*len(payloads))
		for i, payload := range payloads {
			args = append(args, last-int64(len(payloads)-1-i), manager, payload, now)
		}
		if err := exec(ctx, tx, `INSERT INTO news (id, manager, payload, at) VALUES `+
			strings.TrimSuffix(strings.Repeat(`(?, ?, ?, ?), `, len(payloads)), `, `), args...); err != nil {
			return err
		}
		return s.engine.announce(ctx, tx)
	})
	if err != nil {
		return fmt.Errorf("add news: %w", err)
	}
	return nil
}

// NewsAfter implements meta.Peers.
func (s *Store) NewsAfter(ctx context.Context, id int64, most int) (all []meta.News, err error) {
	err = s.query(ctx, func(q querier) error {
		all, err = rows(ctx, q, func(row scanner) (n meta.News, err error) {
			err = row.Scan(&n.ID, &n.Manager, &n.Payload)
			return n, err
		}, fmt.Sprintf(`SELECT id, manager, payload FROM news WHERE id > ? ORDER BY id LIMIT %d`, most), id)
		return err
	})
	return all, err
}

// LastNews implements meta.Peers.
func (s *Store) LastNews(ctx context.Context) (last int64, err error) {
	err = s.query(ctx, func(q querier) error {
		return q.QueryRowContext(ctx, `SELECT COALESCE(MAX(last), 0) FROM news_head`).Scan(&last)
	})
	return last, err
}

// ForgetNews implements meta.Peers.
func (s *Store) ForgetNews(ctx context.Context, before time.Time) error {
	return s.update(ctx, func(tx querier) error {
		return exec(ctx, tx, `DELETE FROM news WHERE at < ?`, before.UnixMicro())
	})
}

// Listen implements meta.Peers.
func (s *Store) Listen(ctx context.Context, heard func()) error { return s.engine.listen(ctx, heard) }
