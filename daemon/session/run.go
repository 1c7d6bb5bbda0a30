package session

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"tcid/daemon/grade"
	"tcid/sandbox"
	"tcid/sandbox/kernel"
	"tcid/sandbox/workspace"
)

// run is one execution under way.
type run struct {
	session   *Session
	execution *Execution
	seen      looks
}

// do runs the execution and its tests. release is called before it shows as
// finished.
func (r *run) do(release func()) {
	s, e := r.session, r.execution
	start := time.Now()
	if !e.begin(start) {
		release()
		return
	}
	s.mu.Lock()
	lost := s.stateLost
	s.stateLost = false
	s.mu.Unlock()
	if lost {
		e.noteStateLost()
	}
	before, err := s.sandbox.Usage()
	if err != nil {
		s.log.Warn("a session's usage can't be read", zap.Error(err))
	}
	s.sandbox.ResetPeaks()

	status := r.prepare()
	files := s.filesBefore()
	if status == "" {
		status = r.code(before)
	}
	wall := time.Since(start)
	verdicts := r.judge(status)
	after, err := s.sandbox.Usage()
	if err != nil {
		s.log.Warn("a session's usage can't be read", zap.Error(err))
	}
	receipt := receiptOf(before, after, start.Sub(e.result.QueuedAt), wall)
	if status == statusTimeout {
		receipt.LimitsHit = append(receipt.LimitsHit, limitTime)
	}
	r.measure(&receipt)
	e.setChanges(s.filesAfter(files))
	billed(&receipt)
	release()
	e.finish(status, verdicts, receipt)
}

// prepare writes the files that came with the code. It returns the status of
// an execution that can't go on.
func (r *run) prepare() string {
	for _, f := range r.execution.active.spec.Files {
		r.session.lastFiles = nil
		if err := r.session.putFile(f); err != nil {
			r.execution.fail("FileError", err.Error())
			return statusError
		}
	}
	return ""
}

// code runs the code and returns how it ended.
func (r *run) code(before sandbox.Usage) string {
	s, e := r.session, r.execution
	spec := kernel.ExecuteRequest{Code: e.active.spec.Code, Stdin: e.active.spec.Stdin, Env: e.active.spec.Env, Cwd: e.active.spec.Cwd}
	var outcome kernel.Outcome
	timedOut, err := r.limited(e.active.spec.Timeout, func() (err error) {
		outcome, err = s.kernel.conn.Execute(context.Background(), spec, e.collect)
		return err
	})
	if timedOut {
		e.endEarly(statusTimeout, false)
	}
	stopStatus, _ := e.stopping()
	switch {
	case err == nil && stopStatus == "":
		e.setOutcome(outcome)
		return r.statusOf(outcome)
	case err == nil: // SIGINT was enough; variables are kept
		r.explainStop(stopStatus, false)
		return stopStatus
	}
	return r.kernelEnded(err, before, stopStatus)
}

// statusOf translates the kernel's word on an execution that nobody stopped.
func (r *run) statusOf(o kernel.Outcome) string {
	r.execution.mu.Lock()
	interrupted, raised := r.execution.active.interrupted, r.execution.result.Error
	r.execution.mu.Unlock()
	if status := believed(o, raised); status != "" {
		return status
	}
	switch {
	case o.Status == statusOK:
		return statusOK
	case o.Status == statusInterrupted && interrupted:
		return statusInterrupted
	}
	return statusError
}

// limited calls f, which talks to the kernel, and climbs the ladder when time
// is over or somebody stops the execution: SIGINT, repeated, then SIGKILL,
// which makes f return.
func (r *run) limited(timeout time.Duration, f func() error) (timedOut bool, err error) {
	s, e := r.session, r.execution
	result := make(chan error, 1)
	go func() { result <- f() }()
	deadline := time.NewTimer(timeout)
	defer deadline.Stop()
	looks := time.NewTicker(lookEvery)
	defer looks.Stop()
	for stopped := false; !stopped; {
		select {
		case err := <-result:
			return false, err
		case <-deadline.C:
			timedOut, stopped = true, true
		case <-e.active.stop:
			stopped = true
		case <-looks.C:
			_, _ = r.look() // the last look tells of errors
		}
	}
	grace := time.NewTimer(graceOf(s.manager.cfg))
	defer grace.Stop()
	again := time.NewTicker(s.manager.cfg.InterruptEvery)
	defer again.Stop()
	for {
		// A close may turn a polite stop into a kill, so look again each time.
		if _, kill := e.stopping(); kill {
			break
		}
		if err := s.kernel.process.Interrupt(); err != nil {
			s.log.Warn("a kernel can't be interrupted", zap.Error(err))
		}
		select {
		case err := <-result:
			return tooLate(timedOut), err
		case <-again.C:
			continue
		case <-s.closing:
		case <-grace.C:
		}
		break
	}
	s.kernel.kill()
	return timedOut, <-result
}

// kernelEnded finds out why the connection to the kernel broke, ends what is
// left of it, and records the reason.
func (r *run) kernelEnded(err error, before sandbox.Usage, stopStatus string) string {
	s, e := r.session, r.execution
	byItself := s.kernel.endsByItself()
	s.kernel.kill()
	e.noteStateLost()
	if stopStatus != "" {
		r.explainStop(stopStatus, true)
		return stopStatus
	}
	if endedWell(s.kernel.process.Exit()) {
		return statusOK
	}
	if r.outOfMemory(byItself, before) {
		e.fail("MemoryLimitExceeded", fmt.Sprintf("the session used more than its %d MiB of memory and its kernel was ended; variables are lost, files are kept",
			s.spec.Resources.MemoryMB))
		return statusMemoryLimit
	}
	reason := "the Python process ended (" + exitText(s.kernel.process.Exit()) + ")"
	switch {
	case errors.Is(err, kernel.ErrProtocol):
		reason = "the Python process was ended, since it broke the protocol with the daemon"
		s.log.Warn("a kernel broke the protocol", zap.Error(err))
	case !byItself:
		reason = "the Python process was ended, since it closed its connection to the daemon"
	}
	e.fail("KernelDied", reason+"; variables are lost, files are kept")
	return statusCrashed
}

// outOfMemory tells whether the memory limit ended the kernel, which was killed
// then: one that ends itself after a child was killed says something else.
func (r *run) outOfMemory(byItself bool, before sandbox.Usage) bool {
	if !byItself || r.session.kernel.process.Exit().Signal != "SIGKILL" {
		return false
	}
	after, err := r.session.sandbox.Usage()
	return err == nil && after.OOMKills > before.OOMKills
}

// explainStop records why an execution was stopped.
func (r *run) explainStop(status string, lost bool) {
	after := "; variables are kept"
	if lost {
		after = "; variables are lost, files are kept"
	}
	switch status {
	case statusTimeout:
		r.execution.fail("TimeoutError", fmt.Sprintf("the code ran longer than its limit of %g seconds%s", r.execution.active.spec.Timeout.Seconds(), after))
	case statusCancelled:
		r.execution.fail("Cancelled", "the execution was cancelled"+after)
	case statusInterrupted:
		r.execution.fail("Interrupted", "the kernel was restarted"+after)
	case statusInfraError:
		r.execution.fail("InfraError", "the daemon was stopped while the code ran; variables and files are lost")
	case statusExpired:
		r.execution.fail("SessionExpired", "the session came to its end while the code ran")
	}
}

// judge runs the tests of an execution that ended well.
func (r *run) judge(status string) []grade.Verdict {
	e := r.execution
	if status != statusOK {
		e.mu.Lock()
		name := ""
		if e.result.Error != nil {
			name = e.result.Error.Name
		}
		e.mu.Unlock()
		return e.judged(judgeUnrun(e.active.spec.Tests, status, name)...)
	}
	if len(e.active.spec.Tests) == 0 {
		return nil
	}
	partial := e.Result() // the output so far, which conditions may look at
	verdicts := make([]grade.Verdict, 0, len(e.active.spec.Tests))
	for _, t := range e.active.spec.Tests {
		verdicts = append(verdicts, e.judged(r.judgeOne(t, partial.Stdout, partial.Stderr))...)
	}
	return verdicts
}

func (r *run) judgeOne(t grade.Test, stdout, stderr string) grade.Verdict {
	s, e := r.session, r.execution
	v := grade.Verdict{Test: t}
	if stopStatus, _ := e.stopping(); stopStatus != "" && stopStatus != statusTimeout {
		v.Status, v.Message = grade.Skipped, "the execution was stopped"
		return v
	}
	if s.kernel.dead() {
		v.Status, v.Message = grade.RuntimeError, "the Python process ended before this test"
		return v
	}
	start := time.Now()
	before, _ := s.sandbox.Usage()
	var answer kernel.Verdict
	timedOut, err := r.limited(t.Timeout, func() (err error) {
		answer, err = s.kernel.conn.Condition(context.Background(), t.Condition, stdout, stderr)
		return err
	})
	v.Duration = time.Since(start)
	byItself := true
	if err != nil {
		byItself = s.kernel.endsByItself()
		s.kernel.kill()
		e.noteStateLost()
	}
	switch {
	case timedOut:
		v.Status, v.Message = grade.Timeout, fmt.Sprintf("the condition took longer than %g seconds", t.Timeout.Seconds())
	case err != nil:
		v.Status, v.Message = grade.RuntimeError, "the Python process ended ("+exitText(s.kernel.process.Exit())+")"
		if r.outOfMemory(byItself, before) {
			v.Status, v.Message = grade.MemoryLimit, "the memory limit ended the Python process"
		}
	case answer.Status == statusInterrupted:
		v.Status, v.Message = grade.RuntimeError, "the condition was interrupted"
	default:
		v.Status, v.Message = answer.Status, answer.Message
	}
	return v
}

// judgeUnrun gives each test the verdict of an execution that did not end ok.
func judgeUnrun(tests []grade.Test, status, errorName string) []grade.Verdict {
	var verdict string
	switch status {
	case statusError:
		verdict = grade.RuntimeError
		if errorName == "SyntaxError" || errorName == "IndentationError" || errorName == "TabError" {
			verdict = grade.CompileError
		}
	case statusTimeout:
		verdict = grade.Timeout
	case statusMemoryLimit:
		verdict = grade.MemoryLimit
	case statusCrashed:
		verdict = grade.RuntimeError
	case statusInfraError:
		verdict = grade.InfraError
	default:
		verdict = grade.Skipped
	}
	verdicts := make([]grade.Verdict, 0, len(tests))
	for _, t := range tests {
		verdicts = append(verdicts, grade.Verdict{Test: t, Status: verdict, Message: "the execution ended with status " + status})
	}
	return verdicts
}

// putFile writes a file of a request into the workspace.
func (s *Session) putFile(f File) error {
	_, _, err := s.sandbox.Workspace().Put(context.Background(), f.Name, bytes.NewReader(f.Content),
		workspace.PutOptions{MaxBytes: s.manager.cfg.InlineFileBytes})
	if err != nil {
		return fileError(err, f.Name)
	}
	return nil
}
