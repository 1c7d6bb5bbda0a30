package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"tcid/daemon"
	"tcid/sandbox/host"
)

func newDoctorCommand(a *app) *cobra.Command {
	var flags daemon.Config
	var configFile string
	var probe, quiet bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look at this host: what sandboxes lack here, and what is weak",
		Long: `Look at this host: what sandboxes need and it lacks, what makes their walls
thinner, and what to do about it. The same is looked at whenever the daemon starts,
but for the probe: root's doctor also checks the default image and makes a sandbox of
each image, looks at its processes from outside and removes it.

The exit code is 0 when nothing that is required is missing, else 7. Settings are
found as "tcid serve" finds them.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := serveConfig(cmd, configFile, flags)
			if err != nil {
				return usageError{err}
			}
			if !cmd.Flags().Changed("probe") {
				probe = os.Geteuid() == 0
			}
			report := daemon.Inspect(cfg)
			if probe {
				report.Findings = append(report.Findings, probeHost(cmd.Context(), cfg, report)...)
			}
			if err := cmd.Context().Err(); err != nil {
				return err
			}
			return a.printReport(report, cfg.AcceptWeaknesses, quiet)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&probe, "probe", false, "make a sandbox and look at it (default: when run as root)")
	f.BoolVarP(&quiet, "quiet", "q", false, "print only what is not ok")
	f.StringVar(&flags.StateDir, "state-dir", "", "the daemon's directory for state (default $TCID_STATE_DIR, else "+daemon.DefaultStateDir+")")
	f.StringVar(&flags.DataDir, "data-dir", "", "the daemon's directory for images and keys (default $TCID_DATA_DIR, else "+daemon.DefaultDataDir+")")
	f.StringVar(&configFile, "config", "", "the daemon's YAML file")
	f.StringSliceVar(&flags.AcceptWeaknesses, "accept-weakness", nil, "what may be missing (repeatable)")
	return cmd
}

// probeHost tries a sandbox where the report lets expect that it works.
func probeHost(ctx context.Context, cfg daemon.Config, report host.Report) []host.Finding {
	if report.Lacks(cfg.AcceptWeaknesses) != nil {
		return []host.Finding{daemon.NotProbed()}
	}
	// Without a data directory there is no image to try, and none is made.
	if _, err := os.Stat(cfg.DataDir); err == nil {
		// This starts the program again.
		if err := daemon.EnterPrivateMounts(cfg.DataDir, zap.NewNop()); err != nil {
			return []host.Finding{daemon.ProbeFailed(err)}
		}
	}
	return daemon.Probe(ctx, cfg)
}

// printReport prints what was found. That something required is missing is an
// error that has been told then.
func (a *app) printReport(r host.Report, accepted []string, quiet bool) error {
	lacks := r.Lacks(accepted)
	shown := r.Findings
	if quiet {
		shown = append([]host.Finding{}, r.Weaknesses()...)
	}
	if a.json {
		err := a.printJSON(struct {
			Findings []host.Finding `json:"findings"`
			OK       bool           `json:"ok"`
		}{shown, lacks == nil})
		if err != nil {
			return err
		}
	} else if _, err := fmt.Fprint(a.out, reportText(r, shown, lacks != nil, quiet)); err != nil {
		return fmt.Errorf("print the report: %w", err)
	}
	if lacks != nil {
		return toldError{lacks}
	}
	return nil
}

func reportText(r host.Report, shown []host.Finding, lacks, quiet bool) string {
	var b strings.Builder
	for _, f := range shown {
		word := string(f.Status)
		if f.Status == host.Missing {
			word = "MISSING"
		}
		// The name is what --accept-weakness takes and docs/cli.md explains.
		fmt.Fprintf(&b, "%-7s  %s: %s", word, f.Title, indented(f.Detail))
		if f.Status != host.OK {
			fmt.Fprintf(&b, " (%s)", f.ID)
		}
		b.WriteByte('\n')
		if f.Status != host.OK && f.Mend != "" {
			fmt.Fprintf(&b, "         mend: %s\n", indented(f.Mend))
		}
	}
	missing := 0
	for _, f := range r.Findings {
		if f.Status == host.Missing {
			missing++
		}
	}
	weak := len(r.Weaknesses()) - missing
	switch {
	case lacks:
		fmt.Fprintf(&b, "This host can't run sandboxes: %d missing, %d weak.\n", missing, weak)
	case missing > 0:
		fmt.Fprintf(&b, "What is missing here is accepted: %d missing, %d weak.\n", missing, weak)
	case weak > 0:
		fmt.Fprintf(&b, "This host can run sandboxes: nothing is missing, %d weak.\n", weak)
	case !quiet:
		b.WriteString("This host can run sandboxes.\n")
	}
	return b.String()
}

// indented keeps further lines of a text below its first one.
func indented(text string) string { return strings.ReplaceAll(text, "\n", "\n         ") }
