package restsql

import (
	"database/sql/driver"
	"fmt"
	"testing"
)

// said makes a transaction of statements: a text, and its arguments.
func said(t *testing.T, kind string, statements ...[]any) *transaction {
	t.Helper()
	tx := &transaction{c: New(Options{}), kind: kind}
	for _, s := range statements {
		var args []driver.Value
		for _, v := range s[1:] {
			args = append(args, v)
		}
		if _, err := tx.add(Statement{Text: s[0].(string), Args: args}, true); err != nil {
			t.Fatal(err)
		}
	}
	return tx
}

func TestHabits(t *testing.T) {
	const session, entry, list, users, change = "SELECT session", "SELECT entry", "SELECT list", "SELECT users", "UPDATE entries SET x"
	var h habits
	ahead := func(tx *transaction) string {
		var all []string
		for _, s := range h.ahead(tx) {
			all = append(all, s.Text+" "+string(s.Args))
		}
		return fmt.Sprint(all)
	}
	begin := func(id int64) *transaction {
		return said(t, "list", []any{session, "abc"}, []any{entry, int64(1), id})
	}
	if got := ahead(begin(7)); got != "[]" {
		t.Errorf("without habits %s", got)
	}

	// Where a value may come from several places, the next time tells.
	h.observe(said(t, "list", []any{session, "abc"}, []any{entry, int64(1), int64(0)}, []any{list, int64(1), int64(0), "folder", int64(0)}, []any{users, int64(1)}))
	h.observe(said(t, "list", []any{session, "xyz"}, []any{entry, int64(1), int64(5)}, []any{list, int64(1), int64(5), "folder", int64(0)}, []any{users, int64(1)}))
	if got := ahead(begin(7)); got != `[SELECT list [1,7,"folder",0] SELECT users [1]]` {
		t.Errorf("after two listings %s", got)
	}

	// What is asked for otherwise is another habit, beside the one that was there.
	h.observe(said(t, "list", []any{session, "xyz"}, []any{entry, int64(1), int64(5)}, []any{list, int64(1), int64(5), "file", int64(0)}))
	if got := ahead(begin(7)); got != `[SELECT list [1,7,"file",0] SELECT list [1,7,"folder",0] SELECT users [1]]` {
		t.Errorf("after a third %s", got)
	}
	if got := ahead(said(t, "other", []any{session, "abc"})); got != "[]" {
		t.Errorf("for another kind %s", got)
	}

	// Nothing is foreseen behind a change, and nothing twice.
	h.observe(said(t, "change", []any{entry, int64(1)}, []any{change, int64(1)}, []any{list, int64(1)}))
	if got := ahead(said(t, "change", []any{session, "abc"})); got != "[]" {
		t.Errorf("behind a change %s", got)
	}
	full := said(t, "list", []any{session, "abc"}, []any{entry, int64(1), int64(7)}, []any{list, int64(1), int64(7), "file", int64(0)}, []any{users, int64(1)})
	if got := ahead(full); got != "[]" {
		t.Errorf("of what was asked for %s", got)
	}
}
