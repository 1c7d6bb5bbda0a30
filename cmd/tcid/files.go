package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"tcid/api/client"
	v1 "tcid/api/v1"
)

func newFilesCommand(a *app) *cobra.Command {
	var recursive bool
	cmd := &cobra.Command{
		Use:   "files ID [PATH]",
		Short: "List a session's files",
		Args:  cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			dir := ""
			if len(args) == 2 {
				dir = args[1]
			}
			list, err := c.ListFiles(cmd.Context(), args[0], dir, recursive)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(list)
			}
			return a.printFiles(list)
		},
	}
	cmd.Flags().BoolVarP(&recursive, "recursive", "r", false, "list what is below directories too")
	return cmd
}

func (a *app) printFiles(list v1.FileList) error {
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	for _, f := range list.Data {
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%q\n", f.Type, f.Mode, f.Size, f.ModifiedAt.Format("2006-01-02 15:04:05"), f.Path)
	}
	if list.Truncated {
		fmt.Fprintln(a.err, "tcid: there are more files than are listed")
	}
	return w.Flush()
}

func newCopyCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "cp LOCAL ID:PATH | ID:PATH LOCAL",
		Short: "Copy a file into or out of a session",
		Args:  exactly(2, "a source and a target, one of them ID:PATH"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			fromID, fromPath, fromRemote := remotePath(args[0])
			toID, toPath, toRemote := remotePath(args[1])
			switch {
			case fromRemote == toRemote:
				return usageError{errors.New("one of the two must be a session's file, ID:PATH, and the other a local one")}
			case toRemote:
				return a.upload(cmd.Context(), c, args[0], toID, toPath)
			case fromPath == "":
				return usageError{errors.New("name the session's file: ID:PATH")}
			}
			return download(cmd.Context(), c, fromID, fromPath, args[1])
		},
	}
}

// remotePath knows ID:PATH by the prefix of session ids.
func remotePath(arg string) (id, file string, ok bool) {
	id, file, ok = strings.Cut(arg, ":")
	return id, file, ok && strings.HasPrefix(id, "ses_")
}

func (a *app) upload(ctx context.Context, c *client.Client, local, id, remote string) error {
	f, err := os.Open(local)
	if err != nil {
		return usageError{err}
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return usageError{err}
	}
	if info.IsDir() {
		return usageError{fmt.Errorf("%s is a directory; cp copies one file", local)}
	}
	if remote == "" || strings.HasSuffix(remote, "/") {
		remote = path.Join(remote, filepath.Base(local))
	}
	written, err := c.Upload(ctx, id, remote, f, client.UploadOptions{Mode: info.Mode().Perm()})
	if err != nil || !a.json {
		return err
	}
	return a.printJSON(written)
}
