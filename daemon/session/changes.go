package session

import (
	"context"
	"errors"

	"go.uber.org/zap"

	"tcid/sandbox/workspace"
)

// filesBefore is what files there are when an execution starts: those that the
// one before has left, unless somebody else may have written since.
func (s *Session) filesBefore() *workspace.Snapshot {
	s.mu.Lock()
	touched := s.touched
	s.touched = false
	s.mu.Unlock()
	if s.lastFiles == nil || touched {
		s.lastFiles = s.lookAtFiles()
	}
	return s.lastFiles
}

// filesAfter says what an execution has done to the files. complete is false when
// not all of them were looked at.
func (s *Session) filesAfter(before *workspace.Snapshot) (changes []workspace.Change, complete bool) {
	s.lastFiles = s.lookAtFiles()
	if before == nil || s.lastFiles == nil {
		return nil, false
	}
	return before.ChangesUntil(s.lastFiles)
}

// lookAtFiles returns nil when it fails.
func (s *Session) lookAtFiles() *workspace.Snapshot {
	files, err := s.sandbox.Workspace().Snapshot(context.Background(), maxSeenFiles)
	if err != nil && !errors.Is(err, workspace.ErrClosed) {
		s.log.Warn("a session's files can't be looked at", zap.Error(err))
	}
	return files
}
