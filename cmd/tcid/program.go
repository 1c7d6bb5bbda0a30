package main

import (
	"github.com/spf13/cobra"

	v1 "tcid/api/v1"
)

func newRunCommand(a *app) *cobra.Command {
	var session sessionFlags
	var exec execFlags
	cmd := &cobra.Command{
		Use:   "run FILE|-",
		Short: "Run one program in a session of its own",
		Long: `Run one program in a session that is made for it and closed after it. What it
writes is printed, its last expression too, as a notebook would show it.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			spec, err := exec.spec(a, cmd, args)
			if err != nil {
				return err
			}
			where, err := session.spec(cmd)
			if err != nil {
				return err
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			e, err := c.RunOnce(cmd.Context(), v1.OneShot{ExecSpec: spec, Session: &where})
			if err != nil {
				return err
			}
			return a.printExecution(e)
		},
	}
	a.clientFlags(cmd)
	session.add(cmd)
	exec.add(cmd)
	return cmd
}
