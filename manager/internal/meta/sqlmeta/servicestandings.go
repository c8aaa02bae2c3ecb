package sqlmeta

import (
	"context"
	"fmt"

	"discordcloud/manager/internal/meta"
)

// ServiceStandings implements meta.Standings.
func (s *Store) ServiceStandings(ctx context.Context) (all []meta.ServiceStanding, err error) {
	err = s.query(ctx, func(q querier) error {
		all, err = rows(ctx, q, func(row scanner) (t meta.ServiceStanding, err error) {
			var at int64
			err = row.Scan(&t.Type, &t.Name, &t.Standing, &t.User, &at)
			t.SetAt = fromStamp(at)
			return t, err
		}, `SELECT type, name, standing, user_id, set_at FROM service_standings ORDER BY type, name`)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("standings of services: %w", err)
	}
	return all, nil
}

// SetServiceStanding implements meta.Standings.
func (s *Store) SetServiceStanding(ctx context.Context, t meta.ServiceStanding) error {
	err := s.update(ctx, func(tx querier) error {
		if t.Standing == meta.StandingOpen {
			return exec(ctx, tx, `DELETE FROM service_standings WHERE type = ?1 AND name = ?2`, t.Type, t.Name)
		}
		return exec(ctx, tx, `INSERT INTO service_standings (type, name, standing, user_id, set_at) VALUES (?1, ?2, ?3, ?4, ?5)
			ON CONFLICT (type, name) DO UPDATE SET standing = excluded.standing, user_id = excluded.user_id, set_at = excluded.set_at`,
			t.Type, t.Name, t.Standing, t.User, s.stamp())
	})
	if err != nil {
		return fmt.Errorf("set the standing of a service: %w", err)
	}
	return nil
}
