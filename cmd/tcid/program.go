package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"tcid/api/client"
	v1 "tcid/api/v1"
)

func newRunCommand(a *app) *cobra.Command {
	var session sessionFlags
	var exec execFlags
	cmd := &cobra.Command{
		Use:   "run FILE|-",
		Short: "Run one program in a session of its own",
		Long: `Run one program in a session that is made for it and closed after it. What it
writes is printed as it comes, its last expression too, as a notebook would show
it. Ctrl-C ends the program; a second one within a second leaves at once.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError{errors.New("wrong number of arguments: want one program; it can't be given arguments, but --env, --stdin and --file")}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			spec, err := exec.spec(a, cmd, args)
			if err != nil {
				return err
			}
			where, err := session.spec(cmd)
			if err != nil {
				return err
			}
			save, err := newSaver(exec.outputDir)
			if err != nil {
				return err
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			once := v1.OneShot{ExecSpec: spec, Session: &where}
			if exec.detach {
				return a.printStarted(c.StartOnce(cmd.Context(), once))
			}
			return a.watch(cmd.Context(), watch{
				begin: func(ctx context.Context, o ...client.StreamOption) (*client.Stream, error) {
					return c.StreamOnce(ctx, once, o...)
				},
				interrupt: func(ctx context.Context, s *client.Stream, _ bool) error {
					_, err := c.Cancel(ctx, s.ExecutionID())
					return err
				},
				saver: save,
			})
		},
	}
	a.clientFlags(cmd)
	session.add(cmd)
	exec.add(cmd)
	return cmd
}
