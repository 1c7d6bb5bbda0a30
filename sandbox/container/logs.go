package container

import (
	"io"
	"sync"

	"github.com/sirupsen/logrus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

var bridgeOnce sync.Once

// bridgeLogs sends libcontainer's messages, which go to logrus's global
// logger, to log.
func bridgeLogs(log *zap.Logger) {
	bridgeOnce.Do(func() {
		logrus.SetOutput(io.Discard)
		logrus.SetLevel(logrus.WarnLevel)
		logrus.AddHook(logHook{log.Named("libcontainer")})
	})
}

type logHook struct{ log *zap.Logger }

func (logHook) Levels() []logrus.Level { return logrus.AllLevels }

func (h logHook) Fire(e *logrus.Entry) error {
	level := zapcore.InfoLevel
	switch {
	case e.Level <= logrus.ErrorLevel:
		level = zapcore.ErrorLevel
	case e.Level == logrus.WarnLevel:
		level = zapcore.WarnLevel
	case e.Level >= logrus.DebugLevel:
		level = zapcore.DebugLevel
	}
	h.log.Log(level, e.Message)
	return nil
}
