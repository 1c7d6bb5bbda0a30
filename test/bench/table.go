package main

import (
	"embed"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"text/tabwriter"
)

//go:embed jupyter.py
var helpers embed.FS

// helper writes the program that talks to Jupyter where it can be run.
func (b *bench) helper() string {
	path := filepath.Join(b.tmp, "jupyter.py")
	if _, err := os.Stat(path); err != nil {
		text, _ := helpers.ReadFile("jupyter.py")
		_ = os.WriteFile(path, text, 0o644) // who runs it says what is wrong
	}
	return path
}

// head says where and what is measured.
func (r *Report) head(out io.Writer) {
	fmt.Fprintf(out, "tcid %s, kernels start by %s; %d cores (%s), Linux %s, cgroup %s; plan %s\n",
		r.Commit, r.Daemon.Start, r.Host.Cores, r.Host.CPU, r.Host.Kernel, r.Host.Cgroup, r.Plan)
	var names []string
	for name := range r.Versions {
		names = append(names, name)
	}
	sort.Strings(names)
	for i, name := range names {
		names[i] = name + " " + r.Versions[name]
	}
	fmt.Fprintf(out, "beside it: %s\n", strings.Join(names, ", "))
}

// print writes a row for people.
func (row *Row) print(out io.Writer) {
	fmt.Fprintf(out, "\n%d. %s (%.0f s)\n", row.ID, row.Title, row.Seconds)
	if row.NotBuilt != "" {
		fmt.Fprintf(out, "   not built yet: %s\n", row.NotBuilt)
	}
	for _, g := range row.Groups {
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		fmt.Fprintf(w, "   %s\t%s\n", g.Title, strings.Join(g.columns(), "\t"))
		for _, r := range g.Results {
			fmt.Fprintf(w, "   %s\t%s\n", r.Name, strings.Join(g.cells(r), "\t"))
		}
		_ = w.Flush()
	}
	for _, v := range row.Verdicts {
		fmt.Fprintf(out, "   %s\n", v.text())
	}
	for _, n := range row.Notes {
		fmt.Fprintf(out, "   %s\n", n)
	}
}

// text is a verdict in words.
func (v Verdict) text() string {
	word := "at most"
	if v.AtLeast {
		word = "at least"
	}
	return fmt.Sprintf("%s: %s %s (must be %s %s, stretch %s): %s", v.What, number(v.Value), v.Unit, word, number(v.Must), number(v.Stretch), v.Met)
}

// columns are the headings of a group's numbers.
func (g *Group) columns() []string {
	var list []string
	switch g.Unit {
	case unitMS:
		list = []string{"p50 ms", "p90", "p99"}
	case unitRate:
		list = []string{"per second", "p50 ms", "p99"}
	default:
		list = []string{g.Unit}
	}
	if g.Baseline != "" {
		list = append(list, "ratio")
	}
	return list
}

func (g *Group) cells(r *Result) []string {
	var list []string
	switch g.Unit {
	case unitMS:
		list = []string{number(r.P50), number(r.P90), number(r.P99)}
	case unitRate:
		list = []string{number(r.PerSecond), number(r.P50), number(r.P99)}
	default:
		list = []string{number(r.Value)}
	}
	if g.Baseline != "" {
		list = append(list, number(r.Ratio))
	}
	return list
}

// number shows three digits.
func number(v float64) string {
	switch {
	case v >= 100 || v == 0:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	case v >= 0.095 || v < 0:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.3f", v)
}

// markdown writes the whole report as tables.
func (r *Report) markdown(out io.Writer) error {
	var b strings.Builder
	r.head(&b)
	fmt.Fprintf(&b, "\n| what | measured | must | stretch | |\n|---|---|---|---|---|\n")
	for _, row := range r.Rows {
		if row.NotBuilt != "" {
			fmt.Fprintf(&b, "| %s | not built yet: %s | | | |\n", row.Title, row.NotBuilt)
		}
		for _, v := range row.Verdicts {
			sign := "≤"
			if v.AtLeast {
				sign = "≥"
			}
			fmt.Fprintf(&b, "| %s: %s | %s %s | %s %s | %s | %s |\n", row.Title, v.What, number(v.Value), v.Unit, sign, number(v.Must), number(v.Stretch), v.Met)
		}
	}
	for _, row := range r.Rows {
		for _, g := range row.Groups {
			columns := g.columns()
			fmt.Fprintf(&b, "\n%d. %s, %s\n\n| | %s | isolation |\n|---|%s---|\n", row.ID, row.Title, g.Title, strings.Join(columns, " | "), strings.Repeat("---|", len(columns)))
			for _, result := range g.Results {
				fmt.Fprintf(&b, "| %s | %s | %s |\n", result.Name, strings.Join(g.cells(result), " | "), result.Isolation)
			}
		}
	}
	_, err := io.WriteString(out, b.String())
	return err
}
