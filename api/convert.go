package api

import (
	"encoding/json"
	"fmt"
	"time"

	"tcid/api/transport"
	v1 "tcid/api/v1"
	"tcid/daemon/grade"
	"tcid/daemon/session"
	"tcid/sandbox"
	"tcid/sandbox/workspace"
)

const defaultTestPoints = 1

func gradeMode(mode string) grade.Mode { return grade.Mode(mode) }

func gradeTest(i int, t v1.Test) (grade.Test, error) {
	out := grade.Test{
		Name: t.Name, Type: t.Type, Condition: t.Condition,
		Points: defaultTestPoints, Required: t.Required,
	}
	if out.Name == "" {
		out.Name = fmt.Sprintf("test_%d", i)
	}
	if out.Type == "" {
		out.Type = grade.TypeCondition
	}
	if out.Type != grade.TypeCondition {
		return out, transport.BadRequest("invalid_value", "tests", "tests[%d]: type %q is not supported; use \"condition\"", i, t.Type)
	}
	if t.Condition == "" {
		return out, transport.BadRequest("missing_field", "tests", "tests[%d]: condition is missing", i)
	}
	if t.Reward != nil && t.Weight != nil {
		return out, transport.BadRequest("invalid_value", "tests", "tests[%d]: reward and weight are two names of one thing; give one", i)
	}
	for _, points := range []*float64{t.Reward, t.Weight} {
		if points != nil {
			out.Points = *points
		}
	}
	var err error
	out.Timeout, err = positiveSeconds(fmt.Sprintf("tests[%d].timeout", i), t.Timeout)
	return out, err
}

func isolationOf(i sandbox.Isolation) v1.Isolation {
	return v1.Isolation{Start: i.Start, Namespaces: i.Namespaces, Seccomp: i.Seccomp, Cgroup: i.Cgroup, Limits: i.Limits, Warnings: i.Warnings}
}

func (s *Server) sessionOf(i session.Info) v1.Session {
	isolation := isolationOf(s.Sessions.Isolation())
	isolation.Start, isolation.Warnings = i.Start, nil
	if i.Warning != "" {
		isolation.Warnings = []string{i.Warning}
	}
	return v1.Session{
		ID: i.ID, Object: "session", Language: i.Language, State: i.State,
		CreatedAt: wireTime(i.CreatedAt), ExpiresAt: optionalTime(i.ExpiresAt), LastExecuteAt: optionalTime(i.LastExecuteAt),
		ExecuteCount: i.ExecuteCount, Metadata: orEmpty(i.Metadata), Resources: v1.Resources(i.Resources),
		Network: v1.Network{Mode: i.NetworkMode}, Isolation: isolation,
		Image: i.Image, ImageDigest: i.ImageDigest, IdleTimeout: i.IdleTimeout.Seconds(),
		KernelRestarts: i.KernelRestarts, Sandbox: i.Sandbox, Reason: i.Reason,
	}
}

func executionOf(r session.Result) v1.Execution {
	e := v1.Execution{
		ID: r.ID, Object: "execution", SessionID: r.SessionID, Index: r.Index, Status: r.Status,
		QueuedAt: wireTime(r.QueuedAt), StartedAt: optionalTime(r.StartedAt), FinishedAt: optionalTime(r.FinishedAt),
		Receipt: receiptOf(r.Receipt), Stdout: r.Stdout, Stderr: r.Stderr,
		Truncated: v1.Truncated{StdoutBytes: r.DroppedStdout, StderrBytes: r.DroppedStderr},
		Outputs:   make([]v1.Output, 0, len(r.Outputs)), Result: json.RawMessage("null"),
		ResultRepr: r.Repr, ResultSource: r.Source, StateLost: r.StateLost,
		Files: make([]v1.FileChange, 0, len(r.Changes)), FilesTruncated: r.Unseen,
		Tests:  make([]v1.TestResult, 0, len(r.Grade.Verdicts)),
		Reward: r.Grade.Reward, Points: r.Grade.Points, MaxPoints: r.Grade.MaxPoints,
		Passed: r.Grade.Passed, Total: len(r.Grade.Verdicts),
	}
	if r.Value != nil {
		e.Result = r.Value
	}
	if r.Error != nil {
		e.Error = &v1.ExecError{Name: r.Error.Name, Value: r.Error.Value, Traceback: append([]string{}, r.Error.Traceback...)}
	}
	for _, o := range r.Outputs {
		item := v1.Output{Type: o.Type, Data: o.Text}
		if o.Data != nil {
			item.Data = o.Data
		}
		e.Outputs = append(e.Outputs, item)
	}
	for _, c := range r.Changes {
		e.Files = append(e.Files, v1.FileChange{FileInfo: fileInfoOf(c.FileInfo), Change: c.Kind})
	}
	for i, v := range r.Grade.Verdicts {
		e.Tests = append(e.Tests, testOf(i, v))
	}
	return e
}

func testOf(i int, v grade.Verdict) v1.TestResult {
	t := v1.TestResult{
		Name: v.Test.Name, Type: v.Test.Type, Index: i, Passed: v.Status == grade.Passed,
		Reward: v.Points(), Status: v.Status, Integrity: integrity,
		DurationMS: milliseconds(v.Duration), Message: v.Message,
	}
	if t.Passed {
		t.Score = 1
	}
	return t
}

func receiptOf(r session.Receipt) v1.Receipt {
	return v1.Receipt{
		WallMS: milliseconds(r.Wall), QueueMS: milliseconds(r.Queue),
		CPUUserMS: milliseconds(r.CPUUser), CPUSystemMS: milliseconds(r.CPUSystem),
		ThrottledMS:    milliseconds(r.Throttled),
		MaxMemoryBytes: r.MaxMemoryBytes, OOMKills: r.OOMKills, MaxPids: r.MaxPids, RefusedForks: r.RefusedForks,
		MaxOpenFiles: r.MaxOpenFiles, OutputBytes: r.OutputBytes, DroppedOutputBytes: r.DroppedOutputBytes,
		Displays: r.Displays, DroppedDisplays: r.DroppedDisplays,
		WorkspaceBytes: r.WorkspaceBytes, WorkspaceFiles: r.WorkspaceFiles, LimitsHit: append([]string{}, r.LimitsHit...),
	}
}

func fileInfoOf(f workspace.FileInfo) v1.FileInfo {
	return v1.FileInfo{
		Path: f.Path, Name: f.Name, Size: f.Size, Type: f.Type,
		Mode: fmt.Sprintf("%04o", f.Mode.Perm()), ModifiedAt: wireTime(f.ModifiedAt),
	}
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// wireTime has the precision and the zone of the wire.
func wireTime(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

func optionalTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = wireTime(t)
	return &t
}

func orEmpty(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}
