//go:build unix

package pgtest

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// Bouncer starts pgbouncer in transaction mode, with few connections that it deals
// out in turn, and gives the URL of a database behind it. It skips the test where
// pgbouncer is not installed.
func (s *Server) Bouncer(database string) string {
	s.t.Helper()
	program, err := exec.LookPath("/usr/sbin/pgbouncer") // where Debian has it, out of PATH
	if err != nil {
		if program, err = exec.LookPath("pgbouncer"); err != nil {
			missing(s.t, "no pgbouncer (Debian: apt-get install pgbouncer)")
		}
	}
	dir, as := folder(s.t)
	config := filepath.Join(dir, "pgbouncer.ini")
	text := fmt.Sprintf(`[databases]
* = host=%s user=%s
[pgbouncer]
listen_addr =
unix_socket_dir = %s
logfile = %s/log
auth_type = any
pool_mode = transaction
default_pool_size = 4
server_round_robin = 1
max_client_conn = 200
`, s.Dir, Owner, dir, dir)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
	c := exec.Command(program, "-q", config)
	c.Dir, c.Env = dir, []string{"LC_ALL=C"}
	c.SysProcAttr = &syscall.SysProcAttr{Credential: as}
	if err := c.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait() // killed
	})
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		conn, err := net.Dial("unix", dir+"/.s.PGSQL.6432")
		if err == nil {
			_ = conn.Close()
			break
		}
		if time.Now().After(deadline) {
			log, _ := os.ReadFile(dir + "/log")
			s.t.Fatalf("pgbouncer: %v\n%s", err, log)
		}
	}
	return fmt.Sprintf("postgres://%s@/%s?host=%s&port=6432&sslmode=disable", Owner, database, url.QueryEscape(dir))
}
