// Command bench measures tcid and what it is compared with in the same run,
// turn by turn, and holds the result against the project's targets. Start it
// with "make bench" (scripts/bench), which installs what it needs; with -render
// it makes a table and a chart of an earlier run. docs/performance.md explains
// the rows.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"tcid/test/repo"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	short := flags.Bool("short", os.Getenv("BENCH") == "short", "a run of two minutes, to see that everything works (BENCH=short)")
	chosen := flags.String("rows", os.Getenv("ROWS"), "numbers of rows with commas; all when empty (ROWS)")
	data := flags.String("data", os.Getenv("TCID_BENCH_DATA"), "data directory with the images default and science (TCID_BENCH_DATA)")
	result := flags.String("o", repo.Path("bin", "bench.json"), "the JSON file that is written; the chart lies beside it")
	render := flags.String("render", "", "measure nothing: print this JSON file as Markdown and write its chart")
	chart := flags.String("svg", "", "where the chart goes; default: beside the JSON file")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *render != "" {
		report, err := readReport(*render)
		if err != nil {
			return err
		}
		if err := writeChart(chartPath(*chart, *render), report); err != nil {
			return err
		}
		return report.markdown(out)
	}
	if os.Geteuid() != 0 {
		return errors.New("run this as root; it starts containers")
	}
	wanted, err := parseRows(*chosen)
	if err != nil {
		return err
	}
	p := full
	if *short {
		p = brief
	}
	report, err := measure(ctx, out, p, wanted, *data)
	if err != nil {
		return err
	}
	if err := writeReport(*result, report); err != nil {
		return err
	}
	if err := writeChart(chartPath(*chart, *result), report); err != nil {
		return err
	}
	fmt.Fprintf(out, "\nwritten: %s, %s\n", *result, chartPath(*chart, *result))
	return nil
}

// measure runs the wanted rows. What it started is ended and removed when it
// returns, and it fails when something is left.
func measure(ctx context.Context, out io.Writer, p plan, wanted []int, data string) (report *Report, err error) {
	b, err := newBench(ctx, out, p, data)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	if err := b.prepare(ctx); err != nil {
		return nil, err
	}
	report = b.report
	report.head(out)
	for _, r := range rows {
		if !contains(wanted, r.id) {
			continue
		}
		begin := time.Now()
		row := &Row{ID: r.id, Title: r.title}
		b.progress("row %d: %s", r.id, r.title)
		if err := r.measure(b, ctx, row); err != nil {
			return nil, fmt.Errorf("row %d (%s): %w", r.id, r.title, err)
		}
		row.Seconds = time.Since(begin).Seconds()
		report.Rows = append(report.Rows, row)
		row.print(out)
	}
	return report, nil
}

// rows are what can be measured, in the order of the targets' table.
var rows = []struct {
	id      int
	title   string
	measure func(*bench, context.Context, *Row) error
}{
	{1, "one-shot: a fresh isolated process runs print(1+1), one client", (*bench).oneShot},
	{2, "one-shot: the same with many clients", (*bench).oneShotRate},
	{3, "create session, first execution, close; data-science image, one client", (*bench).session},
	{4, "create session, first execution, close; data-science image, 8 clients", (*bench).sessionRate},
	{5, "execution of 1+1 in a live session", (*bench).live},
	{6, "memory of idle data-science sessions", (*bench).memory},
	{7, "restart of the daemon with 1,000 sessions", (*bench).restart},
	{8, "upload and download of a large file", (*bench).transfer},
	{9, "the daemon's own memory, idle", (*bench).idle},
}

func parseRows(list string) ([]int, error) {
	var wanted []int
	for _, r := range rows {
		wanted = append(wanted, r.id)
	}
	if list == "" {
		return wanted, nil
	}
	var some []int
	for _, word := range strings.Split(list, ",") {
		var id int
		if _, err := fmt.Sscanf(strings.TrimSpace(word), "%d", &id); err != nil || !contains(wanted, id) {
			return nil, fmt.Errorf("%q is no row; there are %v", word, wanted)
		}
		some = append(some, id)
	}
	return some, nil
}

func contains(list []int, n int) bool {
	for _, m := range list {
		if m == n {
			return true
		}
	}
	return false
}

func chartPath(asked, result string) string {
	if asked != "" {
		return asked
	}
	return strings.TrimSuffix(result, filepath.Ext(result)) + ".svg"
}

func readReport(path string) (*Report, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	r := &Report{}
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return r, nil
}

func writeReport(path string, r *Report) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

func writeChart(path string, r *Report) error {
	return os.WriteFile(path, []byte(r.svg()), 0o644)
}
