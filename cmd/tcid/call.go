package main

import (
	"context"

	"github.com/spf13/cobra"

	"tcid/api/client"
)

// newCallCommand is a command that calls one route with an id, and prints what
// the daemon answers.
func newCallCommand[T any](a *app, name, short, id string, call func(*client.Client, context.Context, string) (T, error), print func([]T) error) *cobra.Command {
	return &cobra.Command{
		Use:   name + " ID",
		Short: short,
		Args:  exactly(1, id),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			answer, err := call(c, cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(answer)
			}
			return print([]T{answer})
		},
	}
}
