package api

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

// auditRecord is a record of the audit log.
type auditRecord struct {
	Number  int64         `json:"number"`
	At      time.Time     `json:"at"`
	Action  string        `json:"action"`
	Done    bool          `json:"done"`
	User    *nameRecord   `json:"user"` // null for nobody
	Address string        `json:"address"`
	Entry   cloud.EntryID `json:"entry,omitempty"`
	About   string        `json:"about"`
	Detail  string        `json:"detail"`
	Sum     string        `json:"sum"`
}

func auditRecordOf(r meta.AuditRecord) auditRecord {
	out := auditRecord{
		Number: r.Number, At: r.At.UTC(), Action: r.Action, Done: r.Done, Address: r.Address,
		Entry: r.Entry, About: r.About, Detail: r.Detail, Sum: r.Sum.String(),
	}
	if r.User != 0 || r.UserName != "" {
		out.User = &nameRecord{r.User, r.UserName}
	}
	return out
}

func parseAudit(v url.Values) (meta.AuditQuery, error) {
	ask := meta.AuditQuery{Action: v.Get("action"), Text: v.Get("text"), Refused: v.Get("refused") == "1"}
	for key, n := range map[string]*int64{"user": (*int64)(&ask.User), "entry": (*int64)(&ask.Entry), "before": &ask.Before} {
		if s := v.Get(key); s != "" {
			var err error
			if *n, err = strconv.ParseInt(s, 10, 64); err != nil || *n < 1 {
				return ask, cloud.UserErrorf(cloud.ErrInvalid, "%s is not a number", key)
			}
		}
	}
	for key, t := range map[string]*time.Time{"since": &ask.Since, "until": &ask.Until} {
		if s := v.Get(key); s != "" {
			var err error
			if *t, err = time.Parse(time.RFC3339, s); err != nil {
				return ask, cloud.UserErrorf(cloud.ErrInvalid, "%s is not a time like 2026-01-31T12:00:00Z", key)
			}
		}
	}
	return ask, nil
}

func (a *api) audit(q *call) error {
	ask, err := parseAudit(q.r.URL.Query())
	if err != nil {
		return err
	}
	limit, _, err := q.page()
	if err != nil {
		return err
	}
	ask.Limit = limit + 1
	records, err := a.FS.Store.AuditRecords(q.ctx(), ask)
	if err != nil {
		return err
	}
	var next int64
	if len(records) > limit {
		records = records[:limit]
		next = records[limit-1].Number
	}
	out := make([]auditRecord, 0, len(records))
	for _, r := range records {
		out = append(out, auditRecordOf(r))
	}
	return q.answer(map[string]any{"records": out, "next": next})
}

// verifyAudit computes the whole chain again.
func (a *api) verifyAudit(q *call) error {
	_ = http.NewResponseController(q.w).SetWriteDeadline(time.Time{}) // of a long log it takes a while
	state, err := a.FS.Store.VerifyAudit(q.ctx())
	if err != nil {
		return err
	}
	return q.answer(map[string]any{"records": state.Records, "sum": state.Sum.String(), "fault": state.Fault})
}

// auditPage is how many records an export reads at once.
const auditPage = 1000

// exportAudit sends all records that are asked for as a file, as CSV or as a JSON
// record on each line. A failure on the way breaks the connection.
func (a *api) exportAudit(q *call) error {
	ask, err := parseAudit(q.r.URL.Query())
	if err != nil {
		return err
	}
	format := q.r.URL.Query().Get("format")
	types := map[string]string{"csv": "text/csv; charset=utf-8", "jsonl": "application/jsonl; charset=utf-8"}
	if types[format] == "" {
		return cloud.UserErrorf(cloud.ErrInvalid, "format is csv or jsonl")
	}
	ask.Limit = auditPage
	page, err := a.FS.Store.AuditRecords(q.ctx(), ask)
	if err != nil {
		return err // while it can still be told
	}
	h := q.w.Header()
	h.Set("Content-Type", types[format])
	h.Set("Content-Disposition", `attachment; filename="audit.`+format+`"`)
	out := bufio.NewWriter(q.w)
	write := jsonLines(out)
	if format == "csv" {
		write = csvLines(out)
	}
	for {
		for _, r := range page {
			if err := write(r); err != nil {
				panic(http.ErrAbortHandler) // the receiver is gone
			}
		}
		if len(page) < auditPage {
			break
		}
		ask.Before = page[len(page)-1].Number
		_ = http.NewResponseController(q.w).SetWriteDeadline(time.Now().Add(answerTime))
		if page, err = a.FS.Store.AuditRecords(q.ctx(), ask); err != nil {
			a.log.ErrorContext(q.ctx(), "export of the audit log broken off", "err", err)
			panic(http.ErrAbortHandler)
		}
	}
	_ = out.Flush() // the receiver is gone, and knows
	return nil
}

func jsonLines(out *bufio.Writer) func(meta.AuditRecord) error {
	enc := json.NewEncoder(out)
	return func(r meta.AuditRecord) error { return enc.Encode(auditRecordOf(r)) }
}

func csvLines(out *bufio.Writer) func(meta.AuditRecord) error {
	w := csv.NewWriter(out)
	line := func(cells ...string) error {
		if err := w.Write(cells); err != nil {
			return err
		}
		w.Flush()
		return w.Error()
	}
	first := line("number", "at", "action", "done", "user_id", "user", "address", "entry", "about", "detail", "sum")
	return func(r meta.AuditRecord) error {
		if first != nil {
			return first
		}
		entry := ""
		if r.Entry != 0 {
			entry = strconv.FormatInt(int64(r.Entry), 10)
		}
		return line(strconv.FormatInt(r.Number, 10), r.At.UTC().Format(time.RFC3339Nano), r.Action, strconv.FormatBool(r.Done),
			strconv.FormatInt(int64(r.User), 10), guarded(r.UserName), r.Address, entry, guarded(r.About), guarded(r.Detail), r.Sum.String())
	}
}

// guarded is a text as a cell of a table that no program takes for a formula: an
// apostrophe goes before what could begin one (OWASP, "CSV Injection").
func guarded(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r\n", rune(s[0])) {
		return "'" + s
	}
	return s
}
