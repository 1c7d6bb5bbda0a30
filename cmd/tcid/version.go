package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	v1 "tcid/api/v1"
	"tcid/internal/version"
)

func newVersionCommand(a *app) *cobra.Command {
	var clientOnly bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the versions of this program and of the daemon, and what that enforces",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			answer := struct {
				Client string      `json:"client"`
				Daemon *v1.Version `json:"daemon"`
			}{Client: version.Version}
			var err error
			if !clientOnly {
				c, clientErr := a.client()
				if clientErr != nil {
					return clientErr
				}
				var v v1.Version
				if v, err = c.Version(cmd.Context()); err == nil {
					answer.Daemon = &v
				}
			}
			if a.json {
				if printErr := a.printJSON(answer); printErr != nil {
					return printErr
				}
				return err
			}
			fmt.Fprintln(a.out, "client:", answer.Client)
			if answer.Daemon == nil {
				return err
			}
			i := answer.Daemon.Isolation
			fmt.Fprintln(a.out, "daemon:", answer.Daemon.Version)
			fmt.Fprintf(a.out, "isolation: cgroup %s; limits: %s; seccomp: %v; namespaces: %s\n",
				i.Cgroup, strings.Join(i.Limits, " "), i.Seccomp, strings.Join(i.Namespaces, " "))
			return nil
		},
	}
	a.clientFlags(cmd)
	cmd.Flags().BoolVar(&clientOnly, "client", false, "print this program's version only")
	return cmd
}
