package container

import "go.uber.org/zap"

// cleanup undoes the steps of a construction, the last one first.
type cleanup struct {
	steps []cleanupStep
}

type cleanupStep struct {
	what string
	undo func() error
}

func (c *cleanup) add(what string, undo func() error) {
	c.steps = append(c.steps, cleanupStep{what, undo})
}

// run undoes all steps. A step that fails is logged and kept for another run;
// it returns the first such error.
func (c *cleanup) run(log *zap.Logger) error {
	var first error
	var failed []cleanupStep
	for i := len(c.steps) - 1; i >= 0; i-- {
		step := c.steps[i]
		if err := step.undo(); err != nil {
			log.Warn("cleaning up failed", zap.String("step", step.what), zap.Error(err))
			failed = append([]cleanupStep{step}, failed...)
			if first == nil {
				first = err
			}
		}
	}
	c.steps = failed
	return first
}
