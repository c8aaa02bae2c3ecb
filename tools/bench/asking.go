package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"discordcloud/tools/internal/rig"
)

// asked are the benchmarks of the store itself, without HTTP, JSON and a client,
// by their names, with what is asked of them.
var asked = []struct {
	name, metric, text, unit string
	reach                    float64
	least                    bool
}{
	{"page_by_name", "ms/median", "a page of 100 of a folder of a tenth, by name", "ms", 2, false},
	{"page_by_name", "ms/p99", "a page of 100 of a folder of a tenth, by name, all but a hundredth", "ms", 5, false},
	{"page_by_updated_at", "ms/median", "a page of 100 of a folder of a tenth, by date", "ms", 2, false},
	{"page_by_updated_at", "ms/p99", "a page of 100 of a folder of a tenth, by date, all but a hundredth", "ms", 5, false},
	{"page_by_size", "ms/median", "a page of 100 of a folder of a tenth, by size", "ms", 2, false},
	{"page_by_size", "ms/p99", "a page of 100 of a folder of a tenth, by size, all but a hundredth", "ms", 5, false},
	{"search", "ms/median", "search for what few names have", "ms", 50, false},
	{"search_often", "ms/median", "search for what a quarter of all names has", "ms", 50, false},
	{"search_late", "ms/median", "search for what only the last quarter of the names has", "ms", 0, false},
	{"size_of_100,000", "ms/median", "size of a folder of a tenth of all files", "ms", 1, false},
	{"size_of_all", "ms/median", "size of everything", "ms", 1, false},
	{"upload_of_three_commits", "ms/median", "an upload, three commits", "ms", 15, false},
	{"uploads_by_8", "commits/s", "commits by 8 uploaders", "/s", 200, true},
	{"start", "ms/median", "to open it, and to close it", "ms", 1000, false},
}

// asking runs them on a store of w.entries files of their own making.
func asking(ctx context.Context, w *world, name string) (all []result, err error) {
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", "^BenchmarkMillion$/^"+name+"$", "-benchtime", fmt.Sprintf("%dx", 40*w.runs),
		"-timeout", "1h", "./manager/internal/meta/sqlmeta")
	cmd.Env = append(os.Environ(), "MILLION="+strconv.Itoa(w.entries))
	out, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	figures := metrics(out)
	if len(figures) == 0 {
		return nil, fmt.Errorf("%w: the benchmarks of %s gave nothing", rig.ErrMissing, name)
	}
	for _, s := range asked {
		got, ok := figures[s.name+" "+s.metric]
		if !ok {
			return nil, errors.New("no figure of " + s.name)
		}
		all = append(all, result{
			Row: name, What: fmt.Sprintf("%s itself, %d files: %s", name, w.entries, s.text), Unit: s.unit, Reach: s.reach, AtMost: !s.least,
		}.of([]sample{{got: got}}))
	}
	return all, nil
}

// metrics are what benchmarks below another print, by "name unit".
func metrics(out []byte) map[string]float64 {
	all := map[string]float64{}
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		name := fields[0][strings.LastIndexByte(fields[0], '/')+1:]
		if dash := strings.LastIndexByte(name, '-'); dash > 0 { // the number of processors
			name = name[:dash]
		}
		for i := 2; i+1 < len(fields); i += 2 {
			if n, err := strconv.ParseFloat(fields[i], 64); err == nil {
				all[name+" "+fields[i+1]] = n
			}
		}
	}
	return all
}
