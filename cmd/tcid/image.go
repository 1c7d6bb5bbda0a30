package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"tcid/daemon"
	"tcid/rootfs"
)

func newImageCommand(a *app) *cobra.Command {
	var dataDir string
	cmd := &cobra.Command{
		Use:   "image",
		Short: "Make, list, check and remove images",
		Long: `Make, list, check and remove the root file systems that sessions run on. These
commands work on the data directory; no daemon needs to run.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.PersistentFlags().StringVar(&dataDir, "data-dir", "", "directory of the images (default $TCID_DATA_DIR, else "+daemon.DefaultDataDir+")")
	open := func() (*rootfs.Store, error) {
		dir := dataDir
		if dir == "" {
			dir = os.Getenv("TCID_DATA_DIR")
		}
		if dir == "" {
			dir = daemon.DefaultDataDir
		}
		if os.Geteuid() != 0 {
			return nil, refusedError{errors.New("images belong to root: run this command as root")}
		}
		return rootfs.Open(dir)
	}
	cmd.AddCommand(newImageBuildCommand(a, open), newImageListCommand(a, open),
		newImageRemoveCommand(open), newImageVerifyCommand(a, open))
	return cmd
}

type openStore func() (*rootfs.Store, error)

func newImageBuildCommand(a *app, open openStore) *cobra.Command {
	var o rootfs.BuildOptions
	var maxMiB int64
	cmd := &cobra.Command{
		Use:   "build",
		Short: "Make an image from a Python of this host",
		Long: `Make an image from a CPython of this host: --python, else the first one on PATH.
Without --name it is the default image, which new sessions use at once.

--pip and --requirements install packages into it with the host's uv or pip, and
with their configuration. Only wheels are installed: nothing is built, and no code
of a package runs on this host.`,
		Example: `  tcid image build --pip numpy --pip 'pandas>=2'
  tcid image build --name course --requirements requirements.txt
  tcid image build --pip mine --no-index --find-links ./wheels`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := open()
			if err != nil {
				return err
			}
			if len(o.Preload) == 1 && o.Preload[0] == "" {
				o.Preload = []string{}
			}
			o.MaxBytes = maxMiB << 20
			p := startProgress(a.err)
			o.Progress, o.Detail = p.line, p.say
			img, err := s.Build(cmd.Context(), o)
			p.end()
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(imageInfo{img.Name, img})
			}
			_, err = fmt.Fprintf(a.out, "%s: Python %s from %s, %d MiB, %s\n",
				img.Name, img.PythonVersion, img.Source, img.SizeBytes>>20, shortDigest(img.Digest))
			return err
		},
	}
	cmd.Flags().StringVar(&o.Name, "name", "", "the image's name (default \""+rootfs.DefaultName+"\")")
	cmd.Flags().StringVar(&o.Python, "python", "", "the interpreter (default: the first CPython on PATH)")
	cmd.Flags().StringArrayVar(&o.Requirements, "pip", nil, "a `REQUIREMENT` to install: numpy, 'numpy>=2', a wheel's path or URL (repeatable)")
	cmd.Flags().StringArrayVar(&o.RequirementFiles, "requirements", nil, "a `FILE` of requirements to install (repeatable)")
	cmd.Flags().StringSliceVar(&o.Preload, "preload", nil, "a `MODULE` to import once, ahead of the sessions that use the image (repeatable; default: "+strings.Join(rootfs.DefaultPreload, ", ")+", where they are there; '' for none)")
	cmd.Flags().Int64Var(&maxMiB, "max-size", rootfs.DefaultMaxBytes>>20, "`MIB` that the packages may unpack to")
	cmd.Flags().StringVar(&o.IndexURL, "index-url", "", "the package index's `URL` (default: that of uv's or pip's configuration)")
	cmd.Flags().StringArrayVar(&o.FindLinks, "find-links", nil, "a `PLACE` with more wheels: a directory, or a page's URL (repeatable)")
	cmd.Flags().BoolVar(&o.NoIndex, "no-index", false, "ask no package index; take wheels from --find-links only")
	return cmd
}

// imageInfo shows an image with the name that it was found by.
type imageInfo struct {
	Name string `json:"name"`
	rootfs.Image
}

const shortDigestLength = 12

func shortDigest(digest string) string { return digest[:min(len(digest), shortDigestLength)] }

func newImageListCommand(a *app, open openStore) *cobra.Command {
	return &cobra.Command{
		Use:   "ls",
		Short: "List images",
		Args:  noArguments,
		RunE: func(*cobra.Command, []string) error {
			s, err := open()
			if err != nil {
				return err
			}
			all, damaged := s.List() // those that are in order, and what is wrong with the others
			if a.json {
				list := []imageInfo{}
				for _, img := range all {
					list = append(list, imageInfo{img.Name, img})
				}
				return errors.Join(a.printJSON(map[string]any{"data": list}), damaged)
			}
			w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "NAME\tPYTHON\tSIZE\tDIGEST\tCREATED\tFROM")
			for _, img := range all {
				fmt.Fprintf(w, "%s\t%s\t%d MiB\t%s\t%s\t%s\n", img.Name, img.PythonVersion, img.SizeBytes>>20,
					shortDigest(img.Digest), img.CreatedAt.Format("2006-01-02 15:04"), img.Source)
			}
			return errors.Join(w.Flush(), damaged)
		},
	}
}

func newImageRemoveCommand(open openStore) *cobra.Command {
	return &cobra.Command{
		Use:   "rm NAME",
		Short: "Remove an image that no session uses",
		Args:  exactly(1, "an image's name"),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := open()
			if err != nil {
				return err
			}
			return s.Remove(cmd.Context(), args[0])
		},
	}
}

func newImageVerifyCommand(a *app, open openStore) *cobra.Command {
	return &cobra.Command{
		Use:   "verify [NAME]",
		Short: "Compare an image with what was built",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := rootfs.DefaultName
			if len(args) == 1 {
				name = args[0]
			}
			s, err := open()
			if err != nil {
				return err
			}
			if err := s.Verify(cmd.Context(), name); err != nil {
				return err
			}
			if a.json {
				return a.printJSON(map[string]any{"name": name, "verified": true})
			}
			_, err = fmt.Fprintf(a.out, "%s: as it was built\n", name)
			return err
		},
	}
}
