package daemon

import (
	"context"
	"os"
	"os/signal"
	"path/filepath"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"tcid/api"
)

// loadKeys reads the key file; the default one is made when it is missing.
func (d *Daemon) loadKeys() (*api.Keys, error) {
	if d.cfg.KeyFile == filepath.Join(d.cfg.DataDir, secretsDir, keyFileName) {
		if err := api.CreateKeyFile(d.cfg.KeyFile); err != nil {
			return nil, err
		}
		d.log.Info("API keys are in", zap.String("file", d.cfg.KeyFile))
	}
	return api.LoadKeys(d.cfg.KeyFile)
}

// watchHangups has SIGHUP read the key file again, until the daemon has stopped.
// Without TCP there is nothing to read, but the signal is no reason to end all
// sessions.
func (d *Daemon) watchHangups() {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, unix.SIGHUP)
	stopped := make(chan struct{})
	go func() {
		for {
			select {
			case <-hangups:
				d.rereadKeys()
			case <-stopped:
				return
			}
		}
	}()
	d.onStop("ignore SIGHUP", func(context.Context) error {
		signal.Stop(hangups)
		close(stopped)
		return nil
	})
}

func (d *Daemon) rereadKeys() {
	keys := d.keys.Load()
	if keys == nil {
		d.log.Info("got SIGHUP, which reads the API keys again; there are none without --listen")
		return
	}
	if err := keys.Reload(d.cfg.KeyFile); err != nil {
		d.log.Error("the key file can't be used; going on with the API keys as they were", zap.Error(err))
		return
	}
	d.log.Info("read the API keys again", zap.String("file", d.cfg.KeyFile), zap.Int("keys", keys.Count()))
}
