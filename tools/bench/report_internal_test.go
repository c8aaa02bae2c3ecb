package main

import (
	"strings"
	"testing"
)

func TestResult(t *testing.T) {
	pairs := []sample{{90, 100}, {50, 100}, {400, 200}}
	r := result{Row: "a", Reach: 0.9}.of(pairs)
	if r.Got != 90 || r.Baseline != 100 || r.Ratio != 0.9 || !r.reached() {
		t.Errorf("%+v, reached %v", r, r.reached())
	}
	if r := (result{Reach: 0.91}).of(pairs); r.reached() {
		t.Error("a ratio of 0.9 reaches 0.91")
	}
	if r := (result{Reach: 0.8, AtMost: true}).of(pairs); r.reached() || !strings.Contains(r.summary(), "short of ≤ 0.800") {
		t.Errorf("a ratio of 0.9 is at most 0.8: %s", r.summary())
	}
	if r := (result{Reach: 300, AtMost: true}).of([]sample{{got: 299.5}}); !r.reached() || r.Ratio != 0 {
		t.Errorf("299.5 without a baseline: %+v", r)
	}
	if got := median([]float64{4, 1, 3, 2}); got != 2.5 {
		t.Errorf("median of four is %v", got)
	}
}

func TestReport_Markdown(t *testing.T) {
	r := report{Machine: "m", Runs: 1, Rows: []result{
		result{What: "speed", Unit: "MiB/s", Reach: 0.5}.of([]sample{{1, 4}}),
		result{What: "size", Unit: "MiB", Reach: 10, AtMost: true}.of([]sample{{got: 7}}),
	}}
	var b strings.Builder
	r.writeMarkdown(&b)
	for _, want := range []string{
		"| speed | 1 MiB/s | 4 MiB/s | 0.250 | ≥ 0.500 | **short** |\n",
		"| size | 7 MiB |  |  | ≤ 10 | met |\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in:\n%s", want, b.String())
		}
	}
}

func TestMetrics(t *testing.T) {
	all := metrics([]byte("goos: linux\nBenchmarkMillion/SQLite/size_of_100,000-2 \t 200\t 90813 ns/op\t 0.08700 ms/median\t 0.1 ms/p99\nPASS\n"))
	if len(all) != 3 || all["size_of_100,000 ms/median"] != 0.087 {
		t.Errorf("metrics = %v", all)
	}
}
