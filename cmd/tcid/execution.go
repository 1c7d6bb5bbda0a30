package main

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"tcid/api/client"
	v1 "tcid/api/v1"
)

func newExecutionCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "execution",
		Short: "Look at executions, listen to them and cancel them",
		Args:  noArguments,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	a.clientFlags(cmd)
	cmd.AddCommand(
		newCallCommand(a, "show", "Show an execution, also while it runs", "an execution's id", (*client.Client).GetExecution, a.printExecutions),
		newCallCommand(a, "cancel", "End an execution and show what became of it", "an execution's id", (*client.Client).Cancel, a.printExecutions),
		newExecutionEventsCommand(a),
	)
	return cmd
}

func newExecutionEventsCommand(a *app) *cobra.Command {
	var after int64
	var outputDir string
	cmd := &cobra.Command{
		Use:   "events ID",
		Short: "Print what an execution has shown and shows, to its end",
		Long: `Print what an execution has shown and shows, to its end, as "tcid run" does; with
--json its events, one a line. Ctrl-C leaves it alone. Events are kept for ten
minutes after the end, and only those of the last output where there is much.`,
		Args: exactly(1, "an execution's id"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if after < 0 {
				return usageError{fmt.Errorf("--after %d: want the number of an event, or 0", after)}
			}
			save, err := newSaver(outputDir)
			if err != nil {
				return err
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			return a.watch(cmd.Context(), watch{
				begin: func(ctx context.Context, o ...client.StreamOption) (*client.Stream, error) {
					return c.Resume(ctx, args[0], after, o...)
				},
				saver: save,
				all:   true,
			})
		},
	}
	cmd.Flags().Int64Var(&after, "after", 0, "number of the last event that is known already")
	cmd.Flags().StringVar(&outputDir, "output-dir", "", "directory for pictures and other rich output, made when missing")
	return cmd
}

func newSessionExecutionsCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "executions ID",
		Short: "List what a session has run",
		Args:  exactly(1, "a session's id"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			all, err := c.ListExecutions(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(all)
			}
			return a.printExecutions(all.Data)
		},
	}
}

func (a *app) printExecutions(all []v1.Execution) error {
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tNUMBER\tSTATUS\tSTARTED\tWALL\tCPU\tMEMORY\tERROR")
	for _, e := range all {
		started := "-"
		if e.StartedAt != nil {
			started = e.StartedAt.Local().Format(time.DateTime)
		}
		wrong := "-"
		if e.Error != nil {
			wrong = printable(e.Error.Name)
		}
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%s\t%d MiB\t%s\n", e.ID, e.Index, e.Status, started,
			milliseconds(e.Receipt.WallMS), milliseconds(e.Receipt.CPUUserMS+e.Receipt.CPUSystemMS), e.Receipt.MaxMemoryBytes>>20, wrong)
	}
	if err := w.Flush(); err != nil {
		return &outputError{err}
	}
	return nil
}

func milliseconds(ms float64) time.Duration {
	d := time.Duration(ms*1000) * time.Microsecond
	if d < time.Second {
		return d.Round(100 * time.Microsecond)
	}
	return d.Round(time.Millisecond)
}
