package main

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	_ "modernc.org/sqlite" // pass

	"discordcloud/pkg/pgtest"
	"discordcloud/pkg/supabasetest"
	"discordcloud/tools/internal/rig"
)

// aged is how much older things are made than they are: more than the product
// waits before it deletes what is of no use.
const aged = 2 * time.Hour

// trouble kills, stops and cuts off the processes of a product, and starts them
// again.
type trouble struct {
	*processes
	soak   *soak
	random *rand.Rand

	mu     sync.Mutex
	made   map[string]int
	said   map[string]int // lines of logs, by level and message
	lines  int
	memory map[string]int // KiB at the most, by the names of members
	told   map[string]bool
}

func newTrouble(s *soak, p *processes) *trouble {
	t := &trouble{
		processes: p, soak: s, random: rand.New(rand.NewPCG(s.seed, uint64(s.number))),
		made: map[string]int{}, said: map[string]int{}, memory: map[string]int{}, told: map[string]bool{},
	}
	p.parts.Show = t.hear
	return t
}

// route has a client ask one manager after the other, as chance has it, and wait
// for one that takes connections.
func (t *trouble) route(c *rig.Client) {
	through := c.HTTP.Transport.(*http.Transport).Clone()
	through.DisableKeepAlives = true
	through.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		var d net.Dialer
		if !strings.HasPrefix(address, "managers:") {
			return d.DialContext(ctx, network, address)
		}
		for {
			conn, err := d.DialContext(ctx, network, t.managers[rand.IntN(len(t.managers))].base.Host)
			if err == nil {
				return conn, nil
			}
			select {
			case <-time.After(50 * time.Millisecond):
			case <-ctx.Done():
				return nil, err
			}
		}
	}
	c.Base, c.HTTP.Transport = "http://managers", through
}

// act is something that is done to the product.
type act struct {
	name  string
	odds  int
	does  func(ctx context.Context) error
	where bool // whether there is anything that it could be done to
}

// make makes trouble until working ends.
func (t *trouble) make(working context.Context) {
	if t.soak.every == 0 {
		return
	}
	lasting := context.WithoutCancel(working)
	server, rest := t.postgres != nil, t.project != nil
	acts := []act{
		{"manager killed", 4, func(ctx context.Context) error { return t.killed(ctx, t.some(t.managers)) }, true},
		{"manager restarted", 1, func(ctx context.Context) error { return t.restarted(ctx, t.some(t.managers)) }, true},
		{"manager frozen", 2, func(context.Context) error { return t.frozen(t.some(t.managers)) }, true},
		{"service killed", 3, func(ctx context.Context) error { return t.killed(ctx, t.some(t.services)) }, true},
		{"service frozen", 1, func(context.Context) error { return t.frozen(t.some(t.services)) }, true},
		{"connections cut", 4, t.cut, t.managers[0].wire != nil},
		{"commit lost", 4, func(context.Context) error { return t.commit(pgtest.CutOff) }, t.managers[0].wire != nil},
		{"commit unheard", 4, func(context.Context) error { return t.commit(pgtest.Unheard) }, t.managers[0].wire != nil},
		{"commit late", 2, t.late, t.managers[0].wire != nil},
		{"request lost", 4, func(context.Context) error { return t.spoil(supabasetest.LoseRequest) }, rest},
		{"answer lost", 6, func(context.Context) error { return t.spoil(supabasetest.LoseAnswer) }, rest},
		{"gateway down", 2, t.down, rest},
		{"PostgreSQL killed", 2, t.serverKilled, server},
		{"PostgreSQL restarted", 1, t.serverRestarted, server},
	}
	total := 0
	for _, a := range acts {
		if a.where {
			total += a.odds
		}
	}
	for {
		select {
		case <-working.Done():
			return
		case <-time.After(time.Duration(t.random.ExpFloat64() * float64(t.soak.every))):
		}
		roll := t.random.IntN(total)
		for _, a := range acts {
			if !a.where {
				continue
			}
			if roll -= a.odds; roll >= 0 {
				continue
			}
			t.note(a.name)
			if err := a.does(lasting); err != nil {
				t.soak.tally.fail("%s: %v", a.name, err)
			}
			break
		}
	}
}

func (t *trouble) note(what string) {
	if tell := t.soak.tally.tell; tell != nil {
		tell("%s", what)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.made[what]++
}

func (t *trouble) some(all []*member) *member { return all[t.random.IntN(len(all))] }

// wait waits a while, mostly a short one.
func (t *trouble) wait() {
	most := 2 * time.Second
	if t.random.IntN(6) == 0 {
		most = 15 * time.Second
	}
	time.Sleep(time.Duration(t.random.Int64N(int64(most))))
}

func (t *trouble) killed(ctx context.Context, m *member) error {
	m.part.Kill()
	t.wait()
	return t.again(ctx, m)
}

func (t *trouble) restarted(ctx context.Context, m *member) error {
	if err := m.part.Stop(); err != nil {
		return err
	}
	return t.again(ctx, m)
}

func (t *trouble) frozen(m *member) error {
	m.part.Signal(syscall.SIGSTOP)
	t.wait()
	m.part.Signal(syscall.SIGCONT)
	return nil
}

func (t *trouble) cut(context.Context) error {
	t.some(t.managers).wire.Cut()
	return nil
}

func (t *trouble) commit(f pgtest.Fate) error {
	t.some(t.managers).wire.Next(f)
	return nil
}

// late has a COMMIT come to the server long after its connection is broken.
func (t *trouble) late(context.Context) error {
	wire := t.some(t.managers).wire
	wire.Next(pgtest.LateOnly)
	t.wait()
	wire.Next(pgtest.Pass)
	wire.Release()
	return nil
}

// spoil has one of the next requests fail.
func (t *trouble) spoil(f supabasetest.Fault) error {
	left := t.random.IntN(10)
	t.project.Spoil(func([]byte) bool { left--; return left < 0 }, f)
	return nil
}

func (t *trouble) down(context.Context) error {
	t.project.SpoilAll(func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		http.Error(w, "upstream connect error", http.StatusBadGateway)
	})
	t.wait()
	t.project.SpoilAll(nil)
	return nil
}

func (t *trouble) serverKilled(context.Context) (err error) {
	defer rig.Caught(&err)
	t.postgres.Kill()
	t.wait()
	t.postgres.Boot()
	return nil
}

func (t *trouble) serverRestarted(context.Context) (err error) {
	defer rig.Caught(&err)
	t.postgres.Stop()
	t.postgres.Boot()
	return nil
}

// heal waits until all is well, and nothing is under way.
func (t *trouble) heal(ctx context.Context) error {
	for _, m := range t.managers {
		if m.wire != nil {
			m.wire.Next(pgtest.Pass)
		}
	}
	if t.project != nil {
		t.project.SpoilAll(nil)
	}
	if err := t.healthy(ctx); err != nil {
		return err
	}
	time.Sleep(3 * time.Second) // what nobody waits for any more comes to its end
	t.weigh()
	return nil
}

// renew restarts the managers, who look first of all after what those have left who
// were killed, once these are known to be dead.
func (t *trouble) renew(ctx context.Context) error {
	if t.postgres != nil {
		time.Sleep(12 * time.Second)
	}
	for _, m := range t.managers {
		if err := t.restarted(ctx, m); err != nil {
			return err
		}
	}
	return t.healthy(ctx)
}

// healthy waits until all managers have all services.
func (p *processes) healthy(ctx context.Context) error {
	for _, m := range p.managers {
		if err := m.part.Poll(ctx, patience, func() error { return m.get(ctx, "/health", nil) }); err != nil {
			return fmt.Errorf("%s is not well when all is: %w", m.name, err)
		}
	}
	limit := time.Now().Add(patience)
	for _, m := range p.managers {
		for strings.Count(m.part.Output(), `msg="service connected"`)-strings.Count(m.part.Output(), `msg="service disconnected"`) < services {
			if time.Now().After(limit) {
				return fmt.Errorf("%s does not have %d services:\n%s", m.name, services, m.part.Output())
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	return nil
}

// weigh looks how much memory the members have.
func (t *trouble) weigh() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, m := range append(t.managers[:len(t.managers):len(t.managers)], t.services...) {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", m.part.Pid()))
		if err != nil {
			continue // it has just ended
		}
		if _, after, ok := strings.Cut(string(text), "VmRSS:"); ok {
			kib, _ := strconv.Atoi(strings.Fields(after)[0]) // a number, or nothing
			t.memory[m.name] = max(t.memory[m.name], kib)
			if tell := t.soak.tally.tell; tell != nil {
				files, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", m.part.Pid()))
				tell("%s has %d MiB and %d open files", m.name, kib>>10, len(files))
			}
		}
	}
}

// check wants the database to be sound, and all that it refers to to be there.
func (t *trouble) check(ctx context.Context) error {
	m := t.managers[0]
	c := exec.CommandContext(ctx, t.parts.Binary, "admin", "check")
	c.Env = append(c.Env, t.parts.Env...)
	for name, value := range m.settings {
		c.Env = append(c.Env, name+"="+value)
	}
	out, err := c.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("sound")) {
		return fmt.Errorf("the database is not sound: %v\n%s", err, out)
	}
	all, err := t.soak.sandbox.Attachments()
	if err != nil {
		return err
	}
	there := map[string]bool{}
	for _, a := range all {
		there[a.MessageID] = true
	}
	text, err := t.sql(`SELECT DISTINCT message_id FROM chunks`)
	if err != nil {
		return err
	}
	for message := range strings.FieldsSeq(text) {
		if !there[message] {
			return fmt.Errorf("message %s is referred to, and is gone", message)
		}
	}
	return nil
}

// sql runs statements in the database, and gives what they print.
func (t *trouble) sql(statements string) (string, error) {
	if t.postgres != nil {
		text, err := t.postgres.SQL(database, statements)
		if err != nil {
			err = fmt.Errorf("%w: %s", err, text)
		}
		return text, err
	}
	db, err := sql.Open("sqlite", "file:"+filepath.Join(t.managers[0].settings["DATA_DIR"], "discord-cloud.db")+"?_pragma=busy_timeout(20000)")
	if err != nil {
		return "", err
	}
	defer func() { _ = db.Close() }()
	rows, err := db.Query(statements)
	if err != nil {
		return "", err
	}
	defer func() { _ = rows.Close() }()
	text := ""
	for rows.Next() {
		var cell string
		if err := rows.Scan(&cell); err != nil {
			return "", err
		}
		text += cell + "\n"
	}
	return text, rows.Err()
}

// pass makes what has been of no use for some seconds older; and all of it, if
// nothing is under way.
func (t *trouble) pass(all bool) error {
	now := time.Now()
	recent, than := now.Add(-aged/2).UnixMicro(), now.Add(-3*time.Second).UnixMicro()
	if all {
		than = now.UnixMicro()
	}
	statements := []string{
		fmt.Sprintf(`UPDATE objects SET state_at = state_at - %d WHERE state = 'garbage' AND state_at BETWEEN %d AND %d`, aged.Microseconds(), recent, than),
		`UPDATE deletions SET due_at = 0 WHERE state = 'due'`,
	}
	if all {
		statements = append(statements,
			fmt.Sprintf(`UPDATE orphans SET found_at = found_at - %d WHERE found_at > %d`, aged.Microseconds(), recent),
			`UPDATE jobs SET state = '' WHERE name = 'orphans' AND state NOT LIKE '%"channel":"1%'`)
	}
	for _, statement := range statements {
		if _, err := t.sql(statement); err != nil {
			return err
		}
	}
	return nil
}

var spoken = regexp.MustCompile(`level=(\w+) msg=("[^"]*"|\S+)`)

// hear counts what is logged, and looks that no secrets are.
func (t *trouble) hear(p *rig.Part, line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lines++
	what := p.Name + " says something else"
	if found := spoken.FindStringSubmatch(line); found != nil {
		what = found[1] + " " + found[2]
	}
	t.said[what]++
	secrets := []string{t.soak.sandbox.Token(), "correct horse", "of client", "hm=", "Bearer "}
	for _, name := range []string{"SERVICE_PASSWORD", "PRIVATE_KEY", "MESSAGE_ENCRYPTION_KEY", "SUPABASE_KEY"} {
		if key := t.managers[0].settings[name]; key != "" {
			secrets = append(secrets, key)
		}
	}
	for _, secret := range secrets {
		if strings.Contains(line, secret) && !t.told[what] {
			t.told[what] = true
			t.soak.tally.fail("%s logs a secret that begins %.4q: %.200s", p.Name, secret, line)
		}
	}
	if strings.Contains(line, "level=ERROR") || strings.Contains(line, "level=WARN") || strings.Contains(line, "panic") {
		if tell := t.soak.tally.tell; tell != nil {
			tell("%s: %s", p.Name, line)
		}
	}
}

func (t *trouble) summary() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return fmt.Sprintf("trouble: %s\nsoak: KiB at the most: %s\nsoak: lines of logs: %s", counts(t.made), counts(t.memory), counts(t.said))
}
