package otcli

import (
	"errors"
	"fmt"
	"math"
	"time"

	"gatewayd/thread/dataset"
)

// datasetUpdater changes the network to what is in the buffer.
func datasetUpdater(c *CLI, args []string) error {
	d := c.node.Datasets()
	switch word(args, 0) {
	case "":
		c.line("%s", enabled(d.Updating()))
		return nil
	case "start":
		return d.Update(&c.dataset, func(err error) {
			if errors.Is(err, dataset.ErrCancelled) {
				return
			}
			text := "OK"
			if err != nil {
				text = errorOf(err).Word()
			}
			c.line("Dataset update complete: %s", text)
		})
	case "cancel":
		d.CancelUpdate()
		return nil
	}
	return InvalidArgs
}

// delayTimerMin is the shortest delay, in seconds, that the node gives a pending
// dataset as leader.
func delayTimerMin(c *CLI) uint64 { return uint64(c.node.Datasets().MinDelay / time.Second) }

func setDelayTimerMin(c *CLI, s uint64) error {
	if s == 0 || s > math.MaxUint32/1000 {
		return fmt.Errorf("%w: %d s", InvalidArgs, s)
	}
	c.node.Datasets().MinDelay = duration(s, time.Second)
	return nil
}
