package sqlmeta

import (
	"context"
	"database/sql"
	"time"
)

// engine is what each database does in its own way. Everything else is written
// once, in statements that all of them take.
type engine interface {
	// name is what people know the database by.
	name() string
	// pools are the connections: one writes and the other reads, or both do both.
	pools() (write, read *sql.DB)
	// speak gives a connection or transaction that takes our statements.
	speak(q querier) querier
	// view runs f in a transaction that only reads, and sees the state of one
	// moment.
	view(ctx context.Context, f func(q querier) error) error
	// walk is a view of everything, whose statements take as long as they take. It
	// may fail if others write meanwhile.
	walk(ctx context.Context, f func(q querier) error) error
	// update runs f in a writing transaction, once. It is durable when update has
	// returned nil, and undone for good otherwise. An alone one sees no other
	// alone one beside it.
	update(ctx context.Context, alone bool, f func(tx querier) error) error
	// failure is an error for every write from now on, nil as long as there is
	// none.
	failure() error

	// kindOf is the kind of an error of the engine's own, nil for one without,
	// and tells whether it is one.
	kindOf(err error) (kind error, own bool)
	// cutOff tells whether an error says that a statement was ended by its context.
	cutOff(err error) bool
	// passing tells whether the same call may go well a little later.
	passing(err error) bool

	// sole tells that one manager at a time can have the database, whatever raise
	// is asked for.
	sole() bool
	// raise takes part in the database as a manager, or alone keeps managers away,
	// until the engine is closed or lower is called. ErrUnavailable, with a text, if
	// others are in the way, also after some patience.
	raise(ctx context.Context, alone bool, patience time.Duration) error
	lower() error
	// inspect looks for damage before the tables are used.
	inspect(ctx context.Context) error
	// tables are those that are there, ErrCorrupt if they are another program's.
	tables(ctx context.Context, q querier) ([]string, error)
	// settle keeps others from migrating until the transaction ends.
	settle(ctx context.Context, tx querier) error
	// migration is a migration in the engine's words, the table of versions too.
	migration(script string) string
	// guard closes tables to everybody but their owner.
	guard(ctx context.Context, tx querier) error
	// ready ends opening: what only this engine has is made, and what opening has
	// changed is durable.
	ready(ctx context.Context) error
	// columns are those of a table, and the names of its primary key's in order.
	columns(ctx context.Context, q querier, table string) (all []column, key []string, err error)
	// references gives each pair of tables of which one has a key of the other.
	references(ctx context.Context, q querier, each func(from, to string)) error
	// insert puts rows into a table, at most paramsMost values of them.
	insert(ctx context.Context, tx querier, t *tableHead, all [][]any) error
	// lastID is the highest number that a table gave its rows, 0 if it gives none.
	lastID(ctx context.Context, q querier, table string) (int64, error)
	setLastID(ctx context.Context, tx querier, table string, last int64) error

	// seek gives a query for the ids of entries, some of which have a folded text
	// in their names, and of all that have it: %d stands for the number of its one
	// parameter, whose value is arg. ok is false where it is of no help. It asks an
	// index of the three-letter parts of names, which each engine has of its own kind
	// and no migration makes: it holds nothing that the entries do not say, a backup
	// leaves it out, and opening makes it.
	seek(text string) (query, arg string, ok bool)

	// announce wakes who listens, once the transaction is durable; listen calls heard
	// for that, see meta.Peers.
	announce(ctx context.Context, tx querier) error
	listen(ctx context.Context, heard func()) error

	// check gives a line for each fault that the engine finds in itself.
	check(ctx context.Context, q querier) ([]string, error)
	close() error
}
