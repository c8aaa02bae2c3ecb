package main

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// report is everything that was measured.
type report struct {
	At      time.Time `json:"at"`
	Machine string    `json:"machine"`
	Version string    `json:"version"`
	SizeMiB int64     `json:"size_mib"`
	Runs    int       `json:"runs"`
	Rows    []result  `json:"rows"`
}

// result is one line of the table. Got and Baseline are medians in Unit; Ratio is
// the median of the ratios of each pair, which were measured one after the other.
type result struct {
	Row      string    `json:"row"`
	What     string    `json:"what"`
	Against  string    `json:"against,omitempty"`
	Unit     string    `json:"unit"`
	Got      float64   `json:"got"`
	Baseline float64   `json:"baseline,omitempty"`
	Ratio    float64   `json:"ratio,omitempty"`
	Ratios   []float64 `json:"ratios,omitempty"`
	Reach    float64   `json:"reach,omitempty"`
	// AtMost tells that less is better. What is held to Reach is the ratio, or Got
	// where there is no baseline.
	AtMost bool `json:"at_most,omitempty"`
}

// sample is one pair of measurements.
type sample struct{ got, base float64 }

// of fills in what the samples say.
func (r result) of(samples []sample) result {
	var got, base []float64
	for _, s := range samples {
		got = append(got, s.got)
		if s.base > 0 {
			base = append(base, s.base)
			r.Ratios = append(r.Ratios, s.got/s.base)
		}
	}
	r.Got, r.Baseline, r.Ratio = median(got), median(base), median(r.Ratios)
	return r
}

func median(of []float64) float64 {
	if len(of) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(of))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// reached tells whether the row is as good as it should be.
func (r result) reached() bool {
	v := r.Got
	if len(r.Ratios) > 0 {
		v = r.Ratio
	}
	return r.Reach == 0 || (cmp.Compare(v, r.Reach) <= 0) == r.AtMost || v == r.Reach
}

func (r result) summary() string {
	s := fmt.Sprintf("%s %s", number(r.Got), r.Unit)
	if len(r.Ratios) > 0 {
		s += fmt.Sprintf(", baseline %s, ratio %.3f of %s", number(r.Baseline), r.Ratio, ratios(r.Ratios))
	}
	if !r.reached() {
		s += ", short of " + r.wanted()
	}
	return s
}

func ratios(of []float64) string {
	text := make([]string, len(of))
	for i, v := range of {
		text[i] = fmt.Sprintf("%.2f", v)
	}
	return "[" + strings.Join(text, " ") + "]"
}

func (r result) wanted() string {
	if r.Reach == 0 {
		return ""
	}
	sign := "≥"
	if r.AtMost {
		sign = "≤"
	}
	return sign + " " + number(r.Reach)
}

// number gives three digits that count, and no exponent.
func number(v float64) string {
	switch {
	case v == float64(int64(v)):
		return fmt.Sprint(int64(v))
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.3f", v)
	}
}

func newReport(o options) report {
	return report{At: time.Now().UTC().Truncate(time.Second), Machine: machine(), Version: version(), SizeMiB: o.size >> 20, Runs: o.runs}
}

// machine names what it is measured on.
func machine() string {
	name := runtime.GOARCH
	if f, err := os.Open("/proc/cpuinfo"); err == nil {
		for lines := bufio.NewScanner(f); lines.Scan(); {
			if key, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(key) == "model name" {
				name = strings.TrimSpace(value)
				break
			}
		}
		_ = f.Close() // it was only read
	}
	return fmt.Sprintf("%d cores, %s, %s, %s", runtime.NumCPU(), name, runtime.GOOS, runtime.Version())
}

func version() string {
	info, ok := debug.ReadBuildInfo()
	if ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return s.Value[:min(12, len(s.Value))]
			}
		}
	}
	return "development"
}

func (r report) writeMarkdown(w io.Writer) {
	out := bufio.NewWriter(w)
	defer func() { _ = out.Flush() }() // a closed standard output is the caller's wish
	_, _ = fmt.Fprintf(out, "%s · %s · %d MiB, median of %d\n\n", r.Machine, r.At.Format("2006-01-02"), r.SizeMiB, r.Runs)
	_, _ = fmt.Fprintln(out, "| row | measured | baseline | ratio | reach | |\n| --- | ---: | ---: | ---: | ---: | --- |")
	for _, row := range r.Rows {
		base, ratio, mark := "", "", ""
		if len(row.Ratios) > 0 {
			base, ratio = number(row.Baseline)+" "+row.Unit, fmt.Sprintf("%.3f", row.Ratio)
		}
		if row.Reach > 0 {
			if mark = "met"; !row.reached() {
				mark = "**short**"
			}
		}
		_, _ = fmt.Fprintf(out, "| %s | %s %s | %s | %s | %s | %s |\n", row.What, number(row.Got), row.Unit, base, ratio, row.wanted(), mark)
	}
}
