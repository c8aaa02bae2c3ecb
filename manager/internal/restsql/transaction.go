package restsql

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"database/sql/driver"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	// boldTries is how often a transaction may begin with guesses at what was never
	// heard, guessedTries with answers that were heard before. Then it asks for each.
	boldTries    = 4
	guessedTries = 10
	triesMost    = 16
)

// Statement is one with its arguments: int64, bool, float64, string, []byte or nil.
// It is in PostgreSQL's words, with its arguments where Place puts them.
type Statement struct {
	Text string
	Args []driver.Value
}

// Place is how a statement names its argument n, counted from 1: the functions hand
// all arguments over as one array of JSON.
func Place(n int, arg any) string {
	value := fmt.Sprintf("($1->>%d)", n-1)
	switch arg.(type) {
	case int64:
		return value + "::bigint"
	case bool:
		return value + "::boolean"
	case float64:
		return value + "::double precision"
	case []byte:
		return "decode(" + value + ", 'base64')"
	case nil:
		return "NULL" // which has the type of what it is compared with
	}
	return value
}

// step is a statement of a script, and what is expected of it.
type step struct {
	Text  string          `json:"text"`
	Args  json.RawMessage `json:"args"`
	Rows  bool            `json:"rows"`            // whether its rows are asked for, or their number
	Sum   *string         `json:"sum,omitempty"`   // of rows that were used
	Count *int64          `json:"count,omitempty"` // of rows, where it was used

	apart   []string // see values
	key     string   // in the memory
	own     bool     // the transaction has changed a table that it reads
	nth     int      // of those with its text, from 0
	writes  bool
	behind  bool   // asked for those who come next
	guessed bool   // and not confirmed yet
	blind   bool   // without having heard an answer to these arguments
	answer  []byte // rows that were used, of those that write
	heard   *int64 // count, not used yet
}

// transaction is one attempt at a transaction. It is used by one goroutine at a time.
type transaction struct {
	c      *Client
	kind   string // "": it is of those that begin alike
	writes bool
	guess  bool
	bold   bool
	steps  []*step
	failed error // of the first statement that failed: there is no going on after it
	past   *past

	numbers map[string]int64 // that rows got, the last by each statement
	said    map[string]int   // how often, by text
	changes map[string]bool  // tables that it has changed
}

// past is what earlier attempts at the same transaction have met, by the texts of
// statements: their arguments may be other ones each time, as those that hold the
// time are.
type past struct {
	failed map[string]bool   // though nobody was waiting for them
	wrong  map[turn]int      // attempts in which they were guessed wrong
	counts map[turn]int64    // what they told
	own    map[string][]byte // what they read of their own changes, by keys
	// moment is what reading statements answered in the last call that changed
	// nothing, by their keys: digests. All of it was so in one moment.
	moment map[string]string
}

// turn is a statement that is said for the nth time in a transaction.
type turn struct {
	text string
	nth  int
}

// wrongMost is how often a statement may be guessed wrong: once, for then it is
// known, unless its answer depends on what is another one each time.
const wrongMost = 1

// plain tells whether a statement has to be asked.
func (p *past) plain(s *step) bool {
	return p.failed[s.Text] || p.wrong[turn{s.Text, s.nth}] > wrongMost
}

// View runs f in a transaction that only reads, and sees the state of one moment.
// f may be called several times.
func (c *Client) View(ctx context.Context, db *sql.DB, f func(*sql.Conn) error) error {
	return c.attempt(ctx, db, "", f, func(tx *transaction) error { return tx.confirm(ctx) })
}

// Commit is how a transaction is made durable. Mark is put in front of it, and must
// change one row. When the last call got no answer, Settle finds out whether it was
// made, after which it is not made any more.
type Commit struct {
	Mark   Statement
	Settle func(context.Context) (made bool, err error)
}

// Update runs f in a transaction of a kind, "" for those that begin alike: what the
// last one of the kind has asked for is foreseen. commit is called in each attempt
// that has something to make durable. f may be called several times.
func (c *Client) Update(ctx context.Context, db *sql.DB, kind string, commit func() Commit, f func(*sql.Conn) error) error {
	return c.attempt(ctx, db, kind, f, func(tx *transaction) error {
		if !tx.writes {
			return tx.confirm(ctx)
		}
		how := commit()
		err := tx.keep(ctx, how.Mark)
		refused, is := errors.AsType[*Error](err)
		if errors.Is(err, ErrCut) || is && refused.Unsure() || err != nil && ctx.Err() != nil {
			made, unknown := how.Settle(context.WithoutCancel(ctx))
			switch {
			case made:
				tx.kept()
				return nil
			case unknown != nil:
				return unknown
			case ctx.Err() != nil:
				return ctx.Err()
			}
			return ErrCut
		}
		return err
	})
}

func (c *Client) attempt(ctx context.Context, db *sql.DB, kind string, f func(*sql.Conn) error, end func(*transaction) error) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	earlier := &past{failed: map[string]bool{}, wrong: map[turn]int{}, counts: map[turn]int64{}, own: map[string][]byte{}}
	for try := range triesMost {
		tx := &transaction{c: c, kind: kind, guess: try < guessedTries, bold: try < boldTries, past: earlier}
		if err := use(conn, tx); err != nil {
			return err
		}
		err = tx.try(ctx, func() error { return f(conn) })
		if err2 := use(conn, nil); err2 != nil {
			return err2
		}
		switch {
		case errors.Is(tx.failed, ErrChanged):
			err = ErrChanged
		case err == nil && tx.failed != nil:
			err = tx.failed
		case err == nil:
			if err = end(tx); err == nil && c.o.Memory >= 0 {
				c.habits.observe(tx)
			}
		case tx.failed == nil || ofStatement(tx.failed): // it may have come of a guess
			if wrong := tx.confirm(ctx); wrong != nil {
				err = wrong
			}
		}
		if !errors.Is(err, ErrChanged) {
			return err
		}
	}
	return err
}

// Part runs f, whose statements are on a connection of View or Update. If it fails,
// what they would have changed is taken out of the transaction, which can go on.
func Part(ctx context.Context, on *sql.Conn, f func() error) error {
	var tx *transaction
	if err := on.Raw(func(is any) error {
		tx = is.(*conn).tx
		return nil
	}); err != nil {
		return err
	}
	from, writes, changes := len(tx.steps), tx.writes, maps.Clone(tx.changes)
	err := f()
	if err == nil || tx.failed != nil && !ofStatement(tx.failed) {
		return err
	}
	if tx.failed == nil && tx.writes {
		if wrong := tx.confirm(ctx); wrong != nil {
			return wrong
		}
	}
	tx.failed, tx.writes, tx.changes = nil, writes, changes
	tx.steps = append(tx.steps[:from], slices.DeleteFunc(tx.steps[from:], func(s *step) bool {
		return s.writes || s.own || s.Sum == nil
	})...)
	return err
}

// try runs f, which may stumble over answers that do not go together, as long as they
// are guessed.
func (tx *transaction) try(ctx context.Context, f func() error) (err error) {
	defer func() {
		if !slices.ContainsFunc(tx.steps, func(s *step) bool { return s.guessed }) {
			return
		}
		if broken := recover(); broken != nil {
			if err = tx.confirm(ctx); err == nil {
				panic(broken)
			}
		}
	}()
	return f()
}

// ofStatement tells whether an error is that of a statement, and not of a call.
func ofStatement(err error) bool {
	refused, is := errors.AsType[*Error](err)
	return is && refused.OfStatement()
}

// use has a connection's statements be those of a transaction, or of none.
func use(c *sql.Conn, tx *transaction) error {
	return c.Raw(func(is any) error {
		is.(*conn).tx = tx
		return nil
	})
}

var (
	changing = regexp.MustCompile(`\b(?:INSERT INTO|UPDATE|DELETE FROM)\s+(\w+)`)
	filling  = regexp.MustCompile(`\bINSERT INTO (\w+)`)
	reading  = regexp.MustCompile(`\b(?:FROM|JOIN)\s+(\w+)`)
)

// names are what an expression finds in a text.
func names(in *regexp.Regexp, text string) (all []string) {
	for _, m := range in.FindAllStringSubmatch(text, -1) {
		all = append(all, m[1])
	}
	return all
}

// newStep puts a statement into a script's words.
func newStep(s Statement, rows bool) (*step, error) {
	args := make([]any, len(s.Args))
	for i, arg := range s.Args {
		switch v := arg.(type) {
		case []byte:
			if v != nil { // JSON has base64 of it
				args[i] = v
			}
		case string:
			if !utf8.ValidString(v) || strings.IndexByte(v, 0) >= 0 {
				return nil, &Error{Status: http.StatusOK, Code: "22021", Message: "invalid byte sequence for encoding UTF8"}
			}
			args[i] = v
		case nil, int64, bool, float64:
			args[i] = v
		default:
			return nil, fmt.Errorf("restsql: an argument of type %T", arg)
		}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(args); err != nil {
		return nil, err
	}
	return &step{Text: s.Text, Args: bytes.TrimSpace(b.Bytes()), Rows: rows, writes: !rows || changing.MatchString(s.Text)}, nil
}

// key is what a statement with its arguments is known by.
func key(s *step) string { return string(s.Args) + "\x00" + s.Text }

// add takes a statement into the script.
func (tx *transaction) add(s Statement, rows bool) (*step, error) {
	if tx.failed != nil {
		return nil, tx.failed
	}
	one, err := newStep(s, rows)
	if err == nil {
		one.key, one.own = key(one), tx.changed(one)
	}
	if err != nil {
		tx.failed = err
		return nil, err
	}
	if tx.said == nil {
		tx.said = map[string]int{}
	}
	one.nth = tx.said[one.Text]
	tx.said[one.Text]++
	if one.writes {
		tx.writes = true
		if tx.changes == nil {
			tx.changes = map[string]bool{}
		}
		for _, table := range names(changing, one.Text) {
			tx.changes[table] = true
		}
	}
	tx.steps = append(tx.steps, one)
	return one, nil
}

// query gives the records that a statement answers.
func (tx *transaction) query(ctx context.Context, s Statement) ([]byte, error) {
	one, err := tx.add(s, true)
	if err != nil {
		return nil, err
	}
	if answer, ok := tx.guessRows(one); ok {
		one.guessed = true
		return tx.told(one, answer), nil
	}
	replies, err := tx.send(ctx, one)
	if err != nil {
		return nil, err
	}
	answer := replies[len(replies)-1]
	if answer == nil {
		tx.failed = fmt.Errorf("%w: no rows where they were asked for", errAnswer)
		return nil, tx.failed
	}
	return tx.told(one, answer), nil
}

// exec adds a statement whose effects are seen by those behind it. Whether it
// fails shows at a later call, unless it has failed before.
func (tx *transaction) exec(ctx context.Context, s Statement) (*step, error) {
	one, err := tx.add(s, false)
	if err == nil && tx.past.failed[one.Text] {
		_, err = tx.send(ctx, one)
	}
	return one, err
}

// count is how many rows a statement of exec changed.
func (tx *transaction) count(ctx context.Context, one *step) (int64, error) {
	if one.Count != nil {
		return *one.Count, nil
	}
	if tx.failed != nil {
		return 0, tx.failed
	}
	if one.heard == nil {
		if n, ok := tx.guessCount(one); ok {
			one.Count, one.guessed = &n, true
			return n, nil
		}
		if _, err := tx.send(ctx, one); err != nil {
			return 0, err
		}
	}
	one.Count = one.heard
	return *one.Count, nil
}

// digest is that of an answer, as the functions make it.
func digest(answer []byte) string {
	sum := sha256.Sum256(answer)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// used remembers what a caller was told.
func (s *step) used(answer []byte) {
	text := digest(answer)
	s.Sum = &text
	if s.writes {
		s.answer = answer
	}
}

// told gives an answer to the caller.
func (tx *transaction) told(one *step, answer []byte) []byte {
	one.used(answer)
	if n, ok := number(answer); ok && one.writes {
		if tx.numbers == nil {
			tx.numbers = map[string]int64{}
		}
		tx.numbers[one.Text] = n
	}
	return answer
}

// confirm asks whether answers that were guessed are right, if there are any.
func (tx *transaction) confirm(ctx context.Context) error {
	if !slices.ContainsFunc(tx.steps, func(s *step) bool { return s.guessed }) || tx.ofOneMoment() {
		return nil
	}
	_, err := tx.send(ctx, nil)
	return err
}

// ofOneMoment tells whether all answers are those of the last call that was made.
func (tx *transaction) ofOneMoment() bool {
	return !tx.writes && !slices.ContainsFunc(tx.steps, func(s *step) bool {
		sum, ok := tx.past.moment[s.key]
		return !ok || s.Sum == nil || sum != *s.Sum
	})
}

// send has the script run, and undone if it has changed anything. It gives the
// rows of those whose rows were not known. Somebody may be waiting for a step.
func (tx *transaction) send(ctx context.Context, waited *step) (rows [][]byte, err error) {
	if tx.writes {
		return tx.ask(ctx, run, script{Lock: tx.c.lock(), Into: tx.into(), Steps: tx.steps}, 0, waited)
	}
	s := script{Steps: tx.steps}
	if tx.c.o.Memory >= 0 {
		s.Steps = append(slices.Clip(s.Steps), tx.c.habits.ahead(tx)...)
	}
	rows, err = tx.ask(ctx, look, s, 0, waited)
	return rows[:min(len(rows), len(tx.steps))], err
}

// keep has the script run behind a mark, and made durable.
func (tx *transaction) keep(ctx context.Context, mark Statement) error {
	first, err := newStep(mark, false)
	if err != nil {
		return err
	}
	one := int64(1)
	first.Count = &one
	behind := tx.behind()
	s := script{Lock: tx.c.lock(), Keep: true, Into: tx.into(), Steps: slices.Concat([]*step{first}, tx.steps, behind)}
	rows, err := tx.ask(ctx, run, s, 1, nil)
	if err != nil {
		return err
	}
	tx.kept()
	for i, s := range behind {
		if answer := rows[len(tx.steps)+i]; answer != nil {
			tx.c.memory.learn(s.key, answer)
		}
	}
	return nil
}

// behind are the statements whose answers the transaction may have changed after it
// has read them: they are asked again behind the changes, so that what comes next is
// guessed right.
func (tx *transaction) behind() (all []*step) {
	if tx.c.o.Memory < 0 {
		return nil
	}
	asked := map[string]bool{}
	for _, s := range tx.steps {
		if s.writes || s.own || s.Sum == nil || asked[s.key] || tx.past.failed[s.Text] || len(all) == extraMost || !tx.changed(s) {
			continue
		}
		asked[s.key] = true
		all = append(all, &step{Text: s.Text, Args: s.Args, Rows: true, key: s.key, behind: true})
	}
	return all
}

// changed tells whether the transaction has changed a table that a statement reads.
func (tx *transaction) changed(s *step) bool {
	return len(tx.changes) > 0 && slices.ContainsFunc(names(reading, s.Text), func(table string) bool { return tx.changes[table] })
}

// into are the tables that the script puts rows into.
func (tx *transaction) into() (tables []string) {
	for _, s := range tx.steps {
		for _, table := range names(filling, s.Text) {
			if !slices.Contains(tables, table) {
				tables = append(tables, table)
			}
		}
	}
	return tables
}

// ask makes the call and learns from the answer. The transaction's own steps begin
// at own.
func (tx *transaction) ask(ctx context.Context, function string, s script, own int, waited *step) (rows [][]byte, err error) {
	r, err := tx.c.call(ctx, function, s)
	if err != nil {
		tx.failed = err
		return nil, err
	}
	rows = make([][]byte, len(s.Steps))
	moment := map[string]string{}
	if function == look {
		tx.past.moment = moment
	}
	for i, one := range s.Steps[:min(len(s.Steps), len(r.Replies))] {
		told := r.Replies[i]
		if told == nil {
			if one.Sum != nil {
				moment[one.key] = *one.Sum
			}
			continue
		}
		if (one.Sum != nil || one.Count != nil) && !one.blind {
			tx.past.wrong[turn{one.Text, one.nth}]++
		}
		if !one.Rows {
			tx.c.countIs(one.Text, told.Count)
			tx.past.counts[turn{one.Text, one.nth}] = told.Count
			one.heard = &told.Count
			continue
		}
		if told.Rows == nil {
			continue
		}
		if rows[i], err = base64.StdEncoding.DecodeString(*told.Rows); err != nil {
			tx.failed = fmt.Errorf("%w: %w", errAnswer, err)
			return nil, tx.failed
		}
		if one.behind {
			continue // it is not so yet
		}
		moment[one.key] = digest(rows[i])
		tx.rowsAre(one, rows[i])
	}
	switch {
	case r.Changed:
		tx.failed = ErrChanged
	case r.Failure != nil && (function == run || r.Failure.Step < own+len(tx.steps)): // else nobody has come to it
		tx.failed = tx.failure(s, r, own, waited)
	}
	if !r.Changed { // those in front of one that failed have answered as expected
		for _, one := range s.Steps {
			one.guessed = false
		}
	}
	return rows[own:], tx.failed
}

// failure is the error of a statement that failed. If nobody was waiting for that
// one, the transaction begins anew, and hears of it at its place.
func (tx *transaction) failure(s script, r *reply, own int, waited *step) error {
	err := &Error{Status: http.StatusOK, Code: r.Failure.Code, Message: r.Failure.Message, Rule: r.Failure.Rule}
	at := r.Failure.Step
	if at < own || at >= len(s.Steps) || s.Steps[at] == waited {
		return err
	}
	tx.past.failed[s.Steps[at].Text] = true
	return ErrChanged
}
