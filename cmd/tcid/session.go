package main

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"tcid/api/client"
	v1 "tcid/api/v1"
)

func newSessionCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "session",
		Short: "Make, use and close sessions",
		Args:  noArguments,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	a.clientFlags(cmd)
	cmd.AddCommand(
		newSessionCreateCommand(a), newSessionListCommand(a), newSessionExecCommand(a), newSessionRemoveCommand(a),
		newCallCommand(a, "info", "Show a session", "a session's id", (*client.Client).GetSession, a.printSessions),
		newCallCommand(a, "interrupt", "Interrupt what runs in a session", "a session's id", (*client.Client).Interrupt, a.printSessions),
		newCallCommand(a, "restart", "Give a session a new interpreter; files stay", "a session's id", (*client.Client).Restart, a.printSessions),
		newSessionExecutionsCommand(a), newFilesCommand(a), newCopyCommand(a),
	)
	return cmd
}

func newSessionCreateCommand(a *app) *cobra.Command {
	var flags sessionFlags
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Make a session and print its id",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			spec, err := flags.spec(cmd)
			if err != nil {
				return err
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			s, err := c.CreateSession(cmd.Context(), spec)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(s)
			}
			_, err = fmt.Fprintln(a.out, s.ID)
			return err
		},
	}
	flags.add(cmd)
	f := cmd.Flags()
	f.Float64Var(&flags.ttl, "ttl", 0, "seconds after which the session ends, whatever it does")
	f.Float64Var(&flags.idle, "idle-timeout", 0, "seconds without use after which the session ends; 0: never")
	f.StringArrayVar(&flags.metadata, "metadata", nil, "label NAME=VALUE (repeatable)")
	return cmd
}

func newSessionListCommand(a *app) *cobra.Command {
	var state string
	var metadata []string
	cmd := &cobra.Command{
		Use:   "ls",
		Short: "List sessions",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			labels, err := pairs("metadata", metadata)
			if err != nil {
				return err
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			all, err := c.AllSessions(cmd.Context(), client.ListOptions{State: state, Metadata: labels})
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(v1.SessionList{Data: append([]v1.Session{}, all...)})
			}
			return a.printSessions(all)
		},
	}
	cmd.Flags().StringVar(&state, "state", "", "only sessions in this state: ready or busy")
	cmd.Flags().StringArrayVar(&metadata, "metadata", nil, "only sessions with this label NAME=VALUE (repeatable)")
	return cmd
}

func (a *app) printSessions(all []v1.Session) error {
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tSTATE\tAGE\tEXECUTIONS\tMEMORY\tIMAGE\tEXPIRES")
	for _, s := range all {
		expires := "never"
		if s.ExpiresAt != nil {
			expires = "in " + time.Until(*s.ExpiresAt).Round(time.Second).String()
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d MiB\t%s\t%s\n", s.ID, s.State, time.Since(s.CreatedAt).Round(time.Second),
			s.ExecuteCount, s.Resources.MemoryMB, s.Image, expires)
	}
	return w.Flush()
}

func newSessionExecCommand(a *app) *cobra.Command {
	var flags execFlags
	cmd := &cobra.Command{
		Use:   "exec ID FILE|-",
		Short: "Run code in a session",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) < 1 || len(args) > 2 {
				return usageError{errors.New("wrong number of arguments: want a session's id and a file, -, or --code")}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			spec, err := flags.spec(a, cmd, args[1:])
			if err != nil {
				return err
			}
			save, err := newSaver(flags.outputDir)
			if err != nil {
				return err
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			if flags.detach {
				return a.printStarted(c.Start(cmd.Context(), args[0], spec))
			}
			return a.watch(cmd.Context(), watch{
				begin: func(ctx context.Context, o ...client.StreamOption) (*client.Stream, error) {
					return c.Stream(ctx, args[0], spec, o...)
				},
				interrupt: interruptIn(c, args[0]),
				saver:     save,
			})
		},
	}
	flags.add(cmd)
	return cmd
}

func newSessionRemoveCommand(a *app) *cobra.Command {
	var metadata []string
	cmd := &cobra.Command{
		Use:   "rm ID... | --metadata NAME=VALUE",
		Short: "Close sessions",
		RunE: func(cmd *cobra.Command, args []string) error {
			labels, err := pairs("metadata", metadata)
			if err != nil {
				return err
			}
			if (len(args) == 0) == (len(labels) == 0) {
				return usageError{errors.New("name the sessions to close by their ids or by --metadata")}
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			if len(labels) > 0 {
				n, err := c.CloseSessions(cmd.Context(), labels)
				if err != nil {
					return err
				}
				return a.printClosed(v1.ClosedCount{Closed: n})
			}
			// All of them are tried; the first failure decides the exit code.
			var failed []error
			n := 0
			for _, id := range args {
				if err := c.CloseSession(cmd.Context(), id); err == nil {
					n++
				} else if len(args) == 1 {
					failed = append(failed, err)
				} else {
					failed = append(failed, fmt.Errorf("%s: %w", id, err))
				}
				if cmd.Context().Err() != nil {
					break
				}
			}
			return errors.Join(append(failed, a.printClosed(v1.ClosedCount{Closed: n}))...)
		},
	}
	cmd.Flags().StringArrayVar(&metadata, "metadata", nil, "close all sessions with this label (repeatable)")
	return cmd
}

func (a *app) printClosed(n v1.ClosedCount) error {
	if a.json {
		return a.printJSON(n)
	}
	return nil
}
